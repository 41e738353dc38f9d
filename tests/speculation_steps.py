"""Count the steps that guessing saves, without a model: `python -m tests.speculation_steps`.

The texts of `tests.speculation_speed` are walked token by token in Qwen3-VL's real tokenizer. Out: for each text and
each price of a guessed token, in plain steps: tokens per step, and how much faster the answer comes. A price of 0.05 is
that of a dense model on a GPU that waits for memory, 0.3 that of many experts whose tokens share few, 1 of a machine
whose time grows with the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edge.run.costs import StepCosts
from edge.run.lookup import NO_GUESS, Guess
from edge.run.speculate import Guesser, plan_guesses
from tests.prompt_parts import processor
from tests.speculation_speed import texts

PRICES = (0.05, 0.15, 0.3, 0.6, 1.0)
MOST = 3
"""Guessed tokens of a step on the 30B."""


class Priced(StepCosts):
    """A machine on which each guessed token costs so much of a plain step."""

    def __init__(self, price: float) -> None:
        super().__init__()
        self._price = price

    def ratio(self, num_rows: int, num_guessed: int) -> float | None:
        """Say what a step costs."""
        return 1.0 + self._price * num_guessed


@dataclass
class Walk:
    """A row whose answer is known."""

    guesser: Guesser | None
    answer: list[int]
    token_ids: list[int] = field(default_factory=list)
    guess: Guess = NO_GUESS

    @property
    def guess_room(self) -> int:
        """Tokens that may be guessed now."""
        return len(self.answer) - len(self.token_ids) - 2

    @property
    def pending_id(self) -> int | None:
        """The pending token."""
        return self.answer[len(self.token_ids)]

    def read_pending(self) -> int:
        """Return the pending token."""
        return self.answer[len(self.token_ids)]

    def cut_guess(self, guess: Guess) -> Guess:
        """Leave a guess as it is."""
        return guess


def walk(prompt: np.ndarray, answer: list[int], price: float) -> tuple[float, float]:
    """Return tokens per step, and plain steps over the time that steps with guesses take."""
    guesser = Guesser(prompt, barred=frozenset(), most=MOST)
    row, costs = Walk(guesser, answer), Priced(price)
    steps, seconds = 0, 0.0
    while len(row.token_ids) < len(answer):
        plan_guesses([row], costs)
        guessed = row.guess.token_ids
        following = answer[len(row.token_ids) + 1 :][: len(guessed)]
        right = next((i for i, (a, b) in enumerate(zip(guessed, following, strict=True)) if a != b), len(guessed))
        if guessed:
            guesser.note(row.guess, right)
        row.token_ids += answer[len(row.token_ids) :][: 1 + right]
        steps, seconds = steps + 1, seconds + 1.0 + price * len(guessed)
    return len(answer) / steps, len(answer) / seconds


def main() -> None:
    """Print a table."""
    made = processor("instruct")
    print(f"{'text':26} tokens  " + "  ".join(f"price {price:<4} " for price in PRICES))
    for name, (question, text) in texts().items():
        messages = [{"role": "user", "content": question}]
        prompt = made.build(messages, tools=None).token_ids
        answer = made.tokenizer.encode_plain(text)
        found = [walk(prompt, answer, price) for price in PRICES]
        shown = "  ".join(f"{per_step:.2f} {faster:.2f}x " for per_step, faster in found)
        print(f"{name:26} {len(answer):6}  {shown}")


if __name__ == "__main__":
    main()
