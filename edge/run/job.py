"""A request on its way to the model thread: the prompt that was built from it, and where its events go.

Made on the caller's thread, where wrong requests are refused; from then on the model thread alone changes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING

from edge.events import Event
from edge.kv.prefix import PrefixKey, SpanKey
from edge.prompt.build import Prompt
from edge.records import dataclass
from edge.request import Request

if TYPE_CHECKING:
    from edge.run.constrain import Constraint

Emit = Callable[[Event | BaseException], None]
"""Takes each event, and at the end of a request that failed its exception; called on the model thread, never waits."""


@dataclass(slots=True, eq=False)
class Job:
    """One request, its prompt and its outlet.

    Attributes:
        request: What was asked.
        prompt: The prompt built from it.
        constraint: What the answer must obey, compiled; None leaves it free.
        emit: The outlet.
        key: What a prefix of the prompt is compared by.
        submitted_s: When the work on the request began, on `time.perf_counter`'s clock.
        prompt_s: Seconds it took to read media and build the prompt.
        cancel: Set from any thread when nobody waits for the answer; the request has a second one, its caller's.
        place: Jobs before it in the queue, as last told; kept by the loop.
    """

    request: Request
    prompt: Prompt
    constraint: Constraint | None
    emit: Emit
    submitted_s: float
    prompt_s: float = 0.0
    cancel: threading.Event = field(default_factory=threading.Event)
    place: int | None = None
    key: PrefixKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = prefix_key(self.prompt)
        self.prompt_s = time.perf_counter() - self.submitted_s

    @property
    def is_cancelled(self) -> bool:
        """Whether the caller wants no more of it."""
        return self.cancel.is_set() or self.request.cancel.is_set()


def prefix_key(prompt: Prompt) -> PrefixKey:
    """Say what the tokens of a prompt are: ids, positions, and the media behind visual tokens."""
    spans = (
        SpanKey(span.start, span.length, prompt.media[span.media_index].digest, span.media_offset)
        for span in prompt.spans
    )
    return PrefixKey(prompt.token_ids, prompt.positions, tuple(spans))
