"""Ask an engine for measurements: prompts of a wanted length, answers of a wanted length, pictures of a wanted size."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from edge.conversation import Message, user_message
from edge.engine import Engine
from edge.errors import UsageError
from edge.events import Usage
from edge.request import Request
from edge.results import EventStream
from edge.run.sample import SamplingParams

WORDS = ("the", "red", "square", "is", "left", "of", "the", "blue", "circle", "and", "the", "green", "one")
_COUNTER = itertools.count(1)


class Asking:
    """One engine and its measurements; every prompt is new from its first word on, so that none is found kept."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that nobody else uses."""
        self.engine = engine
        barred = dict.fromkeys(engine.config.eos_token_ids, -100.0)
        self._sampling = SamplingParams(temperature=0.0, logit_bias=barred)
        self._overhead = engine.count_tokens([user_message(self._text(0))])

    def prompt(self, num_tokens: int) -> list[Message]:
        """Return messages of about so many tokens: at most as many, at most a word fewer.

        Raises:
            UsageError: The template alone is longer.
        """
        if num_tokens < self._overhead:
            raise UsageError(
                f"--depths: expected at least {self._overhead} tokens, which the template takes, found {num_tokens}."
            )
        low, high = 0, num_tokens  # every word has a token at least
        number = next(_COUNTER)
        while low < high:
            middle = (low + high + 1) // 2
            messages = [user_message(self._text(middle, number))]
            low, high = (middle, high) if self.engine.count_tokens(messages) <= num_tokens else (low, middle - 1)
        return [user_message(self._text(low, number))]

    def run(self, messages: list[Message], num_tokens: int, **settings: Any) -> Usage:  # Any: fields of Request
        """Answer with so many tokens; returns what it cost."""
        return self.stream(messages, num_tokens, **settings).answer().usage

    def stream(self, messages: list[Message], num_tokens: int, **settings: Any) -> EventStream:
        """Start an answer of so many tokens; the thought is not closed early."""
        request = Request(
            messages=messages,
            max_tokens=num_tokens,
            sampling=self._sampling,
            answer_tokens=0,
            loop_guard=False,
            **settings,
        )
        return self.engine.stream(request)

    def picture(self, width: int, height: int) -> np.ndarray:
        """Return a new picture of noise, (H, W, 3) uint8."""
        return np.random.default_rng(next(_COUNTER)).integers(0, 256, (height, width, 3), dtype=np.uint8)

    @staticmethod
    def _text(num_words: int, number: int = 0) -> str:
        return f"{number}: " + " ".join(itertools.islice(itertools.cycle(WORDS), num_words))
