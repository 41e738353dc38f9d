"""A model that says what a script says, with the real tokenizer and template, and the loop that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np

from edge.answer import Answer, AnswerParts
from edge.events import Event, NoteEvent, TokenEvent
from edge.kv.layer import LayerMemory, RowMemory
from edge.kv.side_by_side import SideBySide
from edge.limits import EngineLimits
from edge.prompt.processor import Processor
from edge.request import Request
from edge.run.build import Speech, make_loop
from edge.run.constrain import ConstraintFactory
from edge.run.job import Job
from edge.run.loop import Loop
from tests.prompt_parts import Variant, model_config, processor
from tests.real_tokenizer import added_tokens
from tests.unit.run.engines import drain
from tests.unit.run.tiny import GREEDY

IDS = {name: token_id for name, (token_id, _) in added_tokens().items()}
END, THINK, THINK_END, TURN = IDS["<|im_end|>"], IDS["<think>"], IDS["</think>"], IDS["<|im_start|>"]
Script = Callable[[list[int]], Sequence[int]]
"""All tokens so far, prompt included -> the next token, and what comes where that one may not."""


class ScriptedModel:
    """Keeps the tokens themselves as keys, so that trimming and sharing them shows in what it says next."""

    def __init__(self) -> None:
        self.config = model_config()
        norm = SimpleNamespace(weight=mx.zeros((1,), dtype=mx.float32))
        self.language_model = SimpleNamespace(model=SimpleNamespace(norm=norm))
        self.scripts: dict[tuple[int, ...], Script] = {}

    def parameters(self) -> dict[str, mx.array]:
        """None to speak of."""
        return {}

    def __call__(
        self, token_ids: mx.array, *, memory: Sequence[RowMemory], last_only: bool = False, **_: Any
    ) -> mx.array:
        rows = []
        for row, layers in zip(token_ids, memory, strict=True):
            both = mx.broadcast_to(row.astype(mx.float32)[None, None, :, None], (1, 4, row.size, 16))
            for layer in layers:
                layer.append(both)
            first = layers[0]
            parts = (
                zip(first.rows, first.lengths, strict=True) if isinstance(first, SideBySide) else [(first, row.size)]
            )
            rows += [self._logits(part, 1 if last_only else length) for part, length in parts]
        return mx.array(np.stack(rows) if last_only else np.concatenate(rows)[None])

    def _logits(self, held: LayerMemory, count: int) -> np.ndarray:
        """Logits after each of the last tokens of one row, (count, V)."""
        tokens = np.array(held.state[0][0, 0, :, 0]).astype(int).tolist()
        logits = np.zeros((count, self.config.text.vocab_size), np.float32)
        for own, stop in zip(logits, range(len(tokens) - count + 1, len(tokens) + 1), strict=True):
            history = tokens[:stop]
            turn = len(history) - 1 - history[::-1].index(TURN)
            wanted = self.scripts[tuple(history[:turn])](history)
            own[list(wanted)] = np.arange(len(wanted), 0, -1)
        return logits


@dataclass
class Talk:
    """One request and what came of it."""

    request: Request
    prompt_text: str
    events: list[Event] = field(default_factory=list)
    job: Job = field(init=False)

    @property
    def tokens(self) -> list[int]:
        return [event.token_id for event in self.events if isinstance(event, TokenEvent)]

    @property
    def answer(self) -> Answer:
        parts = AnswerParts()
        for event in self.events:
            parts.add(event)
        return parts.answer()

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, NoteEvent)]

    def take(self, item: Event | BaseException) -> None:
        if isinstance(item, BaseException):
            raise item
        self.events.append(item)


class Stage:
    """A loop whose model follows scripts."""

    def __init__(self, variant: Variant = "thinking", **limits: Any) -> None:  # Any: fields of EngineLimits
        self.model = ScriptedModel()
        self.processor = processor(variant)
        self.constraints = ConstraintFactory(self.processor.tokenizer, vocab_size=151936, end_ids=(END,))
        ready: Future[Processor] = Future()
        ready.set_result(self.processor)
        self.loop: Loop = make_loop(
            lambda: self.model,  # type: ignore[arg-type, return-value]  # what the loop needs of a model
            config=self.model.config,
            speech=Speech(ready, frozenset({END}), GREEDY),
            limits=EngineLimits(**{"speculate": False} | limits),
            context_tokens=16_384,
        )

    def add(self, question: str, script: Script, **values: Any) -> Talk:  # Any: fields of Request
        request = Request(messages=[{"role": "user", "content": question}], sampling=GREEDY, **values)
        prompt = self.processor.build(request.messages, tools=request.prompt_tools, options=request.prompt_options)
        constraint = self.constraints.make(
            schema=request.schema, grammar=request.grammar, follows_thought=prompt.opens_reasoning
        )
        talk = Talk(request, prompt.text)
        ids = prompt.token_ids.tolist()
        self.model.scripts[tuple(ids[: len(ids) - 1 - ids[::-1].index(TURN)])] = script
        talk.job = Job(request, prompt, constraint, talk.take, 0.0)
        self.loop.add(talk.job)
        return talk

    def run(self) -> None:
        drain(self.loop, turns=200_000)

    def encode(self, text: str) -> list[int]:
        return list(self.processor.tokenizer.encode(text))


def since(history: list[int], token_id: int) -> list[int] | None:
    """Return the tokens after the last one with this id."""
    if token_id not in history:
        return None
    return history[len(history) - history[::-1].index(token_id) :]


def thinking_script(thought: list[int], answer: list[int], *, gap: int) -> Script:
    """Think, then answer, then end; an empty place in either is the script's wish to end there."""

    def script(history: list[int]) -> Sequence[int]:
        turn = since(history, TURN) or []
        said = since(turn, THINK_END)
        if said is None:
            place = len(since(turn, THINK) or []) - 1  # a newline follows <think>
            return (thought[place % len(thought)], gap)
        if not said:
            return (END, answer[0]) if answer[0] == END else (gap, answer[0])
        place = len(said) - said.count(gap)
        wanted = answer[place] if place < len(answer) else END
        return (wanted, answer[-1]) if wanted == END else (wanted,)

    return script
