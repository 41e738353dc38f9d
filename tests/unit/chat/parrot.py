"""An engine that counts its turns, and a talk with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.chat.asking.message import text_of
from edge.chat.keeping import open_keeper
from edge.chat.options import ChatOptions
from edge.chat.screen.screen import Screen
from edge.chat.talk import Talk
from edge.errors import EdgeError, MediaError, PromptError
from edge.events import (
    Event,
    FinishEvent,
    FinishReason,
    MediaUse,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    ToolCall,
    ToolCallEvent,
    Usage,
)
from edge.request import Request
from edge.run.sample import SamplingParams

USAGE = Usage(
    prompt_tokens=9,
    cached_tokens=0,
    completion_tokens=4,
    reasoning_tokens=1,
    vision_runs=0,
    prompt_s=0.1,
    queue_s=0.0,
    vision_s=0.0,
    prefill_s=0.1,
    first_token_s=0.2,
    decode_s=0.1,
    peak_bytes=0,
)


class Parrot:
    """An engine that counts its turns, and refuses or fails where the question says so."""

    name = "parrot"
    context_tokens = 1000
    default_sampling = SamplingParams()

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.has_forgotten = False
        self.reason: FinishReason = "stop"
        self.media: tuple[MediaUse, ...] = ()
        self.hints: tuple[str, ...] = ()
        self.is_closed = False
        self.calls: list[list[ToolCall]] = []
        self.says: str | None = None

    def stream(self, request: Request) -> Iterator[Event]:
        question = text_of(dict(request.messages[-1]))
        if "broken" in question:
            raise MediaError("broken.png: cannot be read.")
        if "refuse" in question:
            raise PromptError("too long, lower max_tokens.")
        self.requests.append(request)
        return self._events(question)

    def build_prompt(self, _: Request) -> SimpleNamespace:
        return SimpleNamespace(opens_reasoning=False)

    def forget_kept(self) -> None:
        self.has_forgotten = True

    def close(self) -> None:
        self.is_closed = True

    def _events(self, question: str) -> Iterator[Event]:
        yield PromptEvent(9, 0, self.media, self.hints)
        if "fail early" in question:
            raise EdgeError("failed early")
        if "stop early" in question:
            yield FinishEvent("cancelled", None, USAGE)
            return
        if self.calls and self.requests[-1].tool_choice != "none":
            for call in self.calls.pop(0):
                yield ToolCallEvent(call)
            yield FinishEvent("tool_calls", None, USAGE)
            return
        yield ReasoningEvent("hm")
        yield TextEvent(self.says or f"answer {len(self.requests)}")
        if "fail late" in question:
            raise ValueError("failed late")
        yield FinishEvent(self.reason, None, USAGE)


class Talking:
    """A talk with a parrot, and its streams."""

    def __init__(self, **options: object) -> None:
        self.engine = Parrot()
        self.out, self.err = io.StringIO(), io.StringIO()
        given = ChatOptions(**options)  # type: ignore[arg-type]  # fields of ChatOptions
        keeper, _ = open_keeper(given, is_talk=True)
        screen = Screen(self.out, self.err, thoughts="hide")
        self.talk = Talk(self.engine, given, screen, thinks=False, keeper=keeper)  # type: ignore[arg-type]  # a stand-in

    @property
    def folder(self) -> Path:
        """Where the talk is saved."""
        assert self.talk.keeper.session is not None
        return self.talk.keeper.session.folder

    def say(self, *lines: str) -> str:
        """Type lines; return what was noted about them."""
        before = len(self.err.getvalue())
        for line in lines:
            assert self.talk.handle(line)
        return self.err.getvalue()[before:]

    def last(self) -> Request:
        return self.engine.requests[-1]


@pytest.fixture
def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Talking:
    monkeypatch.setenv("EDGE_DATA", str(tmp_path / "data"))
    return Talking()


def question(text: str, *images: object) -> dict[str, object]:
    shown = [{"type": "image", "image": str(path)} for path in images]
    return {"role": "user", "content": [*shown, {"type": "text", "text": text}]}


def answer(number: int) -> dict[str, object]:
    return {"role": "assistant", "content": f"answer {number}", "reasoning_content": "hm"}
