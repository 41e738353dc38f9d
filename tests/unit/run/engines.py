"""Engines of the tiny model whose messages carry ready prompts, and how they are asked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, ClassVar

from edge.answer import Answer
from edge.engine import Engine
from edge.events import Event, FinishEvent, PromptEvent, TokenEvent
from edge.limits import EngineLimits
from edge.model.qwen3vl import Qwen3VL
from edge.prompt.build import Prompt
from edge.request import Request
from edge.run.build import Speech, make_loop
from edge.run.draft import Draft
from edge.run.job import Job
from edge.run.loop import Loop
from edge.settings import GenerationSettings
from tests.unit.run.tiny import GREEDY, continued, tiny_config, tiny_model

NEWLINE, END = 96, 97


class LetterTokenizer:
    """Token i is the character 32 + i; 96 is a newline; all others have no text."""

    def token_bytes(self, token_id: int) -> bytes:
        return b"\n" if token_id == NEWLINE else bytes([32 + token_id]) if token_id < 91 else b""

    def is_special(self, token_id: int) -> bool:
        return token_id == END

    added_tokens: ClassVar[dict[str, int]] = {}

    def encode(self, text: str) -> list[int]:
        return [NEWLINE if character == "\n" else ord(character) - 32 for character in text]


class GivenPrompts:
    """A processor whose messages carry ready prompts."""

    tokenizer = LetterTokenizer()

    def build(self, messages: Sequence[Mapping[str, Any]], *, tools: object, options: object) -> Prompt:  # Any: JSON
        prompt = messages[0]["content"]
        assert isinstance(prompt, Prompt)
        return prompt


def engine(*, eos: int = END, generation: GenerationSettings | None = None, **limits: Any) -> Engine:
    return Engine(
        read_model=tiny_model,
        read_processor=GivenPrompts,  # type: ignore[arg-type]  # only these two members are used
        config=replace(tiny_config(), eos_token_ids=(eos,)),
        generation=generation or GenerationSettings(),
        name="tiny",
        limits=EngineLimits(**limits),
    )


def request(prompt: Prompt, *, max_tokens: int | None = 8, **values: Any) -> Request:  # Any: fields of Request
    values.setdefault("sampling", GREEDY)
    return Request(messages=[{"role": "user", "content": prompt}], max_tokens=max_tokens, **values)


def tokens_of(answer: Answer) -> list[int]:
    return LetterTokenizer().encode(answer.reasoning + answer.text)


def ask(given: Engine, prompt: Prompt, **values: Any) -> Answer:  # Any: fields of Request
    return given.answer(request(prompt, **values))


def next_turn(prompt: Prompt, answer: Answer) -> Prompt:
    return continued(continued(prompt, tokens_of(answer)), [40, 41, 42])


class Outlet:
    """Where the events of one job of a bare loop go."""

    ends = itertools.count()

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self.job: Job
        self.finish_place = -1

    @classmethod
    def of(cls, loop: Loop, prompt: Prompt, *, constraint: Any = None, **values: Any) -> Outlet:  # Any: of Request
        """Add a job to a loop."""
        outlet = cls()
        outlet.job = Job(request(prompt, token_ids=True, **values), prompt, constraint, outlet._take, 0.0)
        loop.add(outlet.job)
        return outlet

    @property
    def tokens(self) -> list[int]:
        """Generated tokens so far."""
        return [event.token_id for event in self.events if isinstance(event, TokenEvent)]

    @property
    def prompt(self) -> PromptEvent:
        """The prompt event."""
        return next(event for event in self.events if isinstance(event, PromptEvent))

    @property
    def finish(self) -> FinishEvent:
        """The finish event."""
        assert self.error is None, self.error
        assert isinstance(self.events[-1], FinishEvent)
        return self.events[-1]

    def _take(self, item: Event | BaseException) -> None:
        if isinstance(item, BaseException):
            self.error = item
            return
        self.events.append(item)
        if isinstance(item, FinishEvent):
            self.finish_place = next(self.ends)


def bare_loop(model: Qwen3VL, limits: EngineLimits, *, draft: Draft | None = None) -> Loop:
    """A loop without a thread, of a model with no end token, and perhaps a draft."""
    processor: Future[Any] = Future()
    processor.set_result(GivenPrompts())
    return make_loop(
        lambda: model,
        config=replace(model.config, eos_token_ids=()),
        speech=Speech(processor, frozenset(), GREEDY),
        limits=limits,
        context_tokens=model.config.text.max_position_embeddings,
        read_draft=None if draft is None else lambda: draft,
    )


def make_loop_of_tiny(**limits: Any) -> Loop:  # Any: fields of EngineLimits
    """A bare loop of the tiny model; it guesses no tokens unless `speculate` says so, since tests count its steps."""
    return bare_loop(tiny_model(), EngineLimits(**{"speculate": False} | limits))


def drain(loop: Loop, *, turns: int = 10_000) -> None:
    """Turn a loop until it has nothing to do."""
    for _ in range(turns):
        if not loop.has_work:
            return
        loop.turn()
    raise AssertionError("the loop does not end")
