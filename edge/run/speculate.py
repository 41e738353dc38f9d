"""Decide how many tokens each row guesses in a step, so that the step gives more tokens for its time.

In: rows with a pending token, measured costs. Out: each row's `guess`, cut to what pays. How often a row's guesses
are right is measured by how long a run of tokens was found: a run of ten is nearly always right, one of two seldom.
What guesses gave and cost is added up: a row that has lost by them waits until that is a small part of its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import numpy as np

from edge.prompt.build import Prompt
from edge.run.costs import StepCosts
from edge.run.draft import Draft
from edge.run.lookup import LEAST_MATCH, NO_GUESS, Guess, Lookup

MOST_ATTENTION_ROWS = 32
"""MLX's attention of a decode step takes so many queries x heads per kv head."""
MOST_QUERIES = 8
TRIAL_MATCH = 6
"""Costs are tried out where so many tokens read the same."""
LEAST_GAIN = 0.05
"""A guess has to win so much of one row's speed: measured times are never exact."""
DRAFTED = 1
"""Stands for the length of the run where a guess is a draft's, who needs none."""
MOST_LOST, MOST_LOST_SHARE = 2.0, 0.01
"""A row that lost so many tokens by guessing, and this share of its answer beside, guesses no more."""
LONG_MATCH = 8
"""After so many equal tokens what followed them is the better guess, and costs nothing."""
# Shortest run -> how likely each guessed token is right before anything was measured.
_FIRST_RATES = {DRAFTED: 0.6, 2: 0.3, 3: 0.45, 4: 0.6, LONG_MATCH: 0.8}
_FIRST_WEIGHT, _MOST_WEIGHT = 2.0, 24.0


class Guesser:
    """The guesses of one row: where they come from, and how often they were right.

    Attributes:
        most: Tokens that may be guessed in a step.
        num_guessed: Tokens guessed so far.
        num_right: How many of them were right.
        price: Tokens that the rows of the step would have had in the time that the guess of this row takes.
    """

    lengths = tuple(sorted({*_FIRST_RATES, TRIAL_MATCH} - {DRAFTED}))
    """Runs from which on a guess may begin to pay: its rate is another, or it may be a trial."""

    def __init__(self, prompt_token_ids: np.ndarray, *, barred: frozenset[int], most: int) -> None:
        """Start guessing.

        Args:
            prompt_token_ids: (L,).
            barred: Tokens that are never guessed: those that end an answer or stand for a picture.
            most: Tokens to guess in a step.
        """
        self.most = most
        self.num_guessed = 0
        self.num_right = 0
        self.price = 0.0
        self._won = 0.0
        self._lookup = Lookup(prompt_token_ids)
        self._prompt_tokens = len(prompt_token_ids)
        self._barred = barred
        self._rates = {shortest: (rate * _FIRST_WEIGHT, _FIRST_WEIGHT) for shortest, rate in _FIRST_RATES.items()}
        self._needed: tuple[Hashable, int | None] | None = None

    def look(self, answer_ids: Sequence[int], pending: int | None, *, most: int, least: int = LEAST_MATCH) -> Guess:
        """Guess what follows the last `least` or more tokens of an answer and its pending token, if that was read."""
        held = len(self._lookup) - self._prompt_tokens
        if held < len(answer_ids):
            self._lookup.extend(answer_ids[held:])
        guess = self._lookup.find(pending, most=most, least=max(least, LEAST_MATCH))
        stop = next((i for i, token_id in enumerate(guess.token_ids) if token_id in self._barred), most)
        return Guess(guess.token_ids[:stop], guess.matched) if stop else NO_GUESS

    def fulfil(self, guess: Guess, answer_ids: Sequence[int], pending: int) -> Guess:
        """Make a guess that was decided on: the tokens themselves, where `look` only promised some."""
        return guess

    def seconds(self, guess: Guess) -> float:
        """Say how long it takes to make each token of a guess."""
        return 0.0

    def expected(self, guess: Guess) -> list[float]:
        """Say how many tokens will be right when the first 0, 1, 2... tokens of a guess are tried."""
        right, tried = self._rates[_shortest(guess.matched)] if guess.token_ids else (0.0, 1.0)
        rate = right / tried
        sums = [0.0]
        for index in range(len(guess.token_ids)):
            sums.append(sums[-1] + rate ** (index + 1))
        return sums

    def needed(self, given: Hashable, work_out: Callable[[], int | None]) -> int | None:
        """Say how long a run has to be for its guess to pay; worked out anew where what is given or a rate changed."""
        if self._needed is None or self._needed[0] != given:
            self._needed = given, work_out()
        return self._needed[1]

    def may_lose(self, num_tokens: int) -> bool:
        """Tell whether an answer of so many tokens has not lost too much by its guesses."""
        return self._won >= -MOST_LOST - MOST_LOST_SHARE * num_tokens

    def note(self, guess: Guess, num_right: int) -> None:
        """Take what became of a guess: so many tokens were right, the one after them was wrong if there was one."""
        self._won += num_right - self.price
        tried = min(num_right + 1, len(guess.token_ids))
        self.num_guessed += len(guess.token_ids)
        self.num_right += num_right
        key = _shortest(guess.matched)
        right, weight = self._rates[key][0] + num_right, self._rates[key][1] + tried
        fade = min(1.0, _MOST_WEIGHT / weight)  # what was long ago counts less
        self._rates[key] = (right * fade, weight * fade)
        self._needed = None


class DraftGuesser(Guesser):
    """The guesses of a row with a draft: from the row's own tokens after a long run, else the draft's."""

    lengths = (DRAFTED, *Guesser.lengths)

    def __init__(self, prompt: Prompt, *, draft: Draft, barred: frozenset[int], most: int, vocab_size: int) -> None:
        """Start guessing.

        Args:
            prompt: The prompt.
            draft: The engine's draft.
            barred: As in `Guesser`.
            most: As in `Guesser`.
            vocab_size: The model's; the draft's may be larger.
        """
        super().__init__(prompt.token_ids, barred=barred, most=most)
        self._draft = draft
        self._row = draft.start(prompt)
        self._vocab_size = vocab_size

    def look(self, answer_ids: Sequence[int], pending: int | None, *, most: int, least: int = LEAST_MATCH) -> Guess:
        """Guess from the row's own tokens, or promise tokens of the draft; it reads on in its prompt first."""
        found = super().look(answer_ids, pending, most=most, least=least)
        if found.matched >= LONG_MATCH:
            return found
        if not self._row.is_ready:
            self._row.advance()
            return found
        return Guess((0,) * most, DRAFTED)

    def fulfil(self, guess: Guess, answer_ids: Sequence[int], pending: int) -> Guess:
        """Let the draft guess what it promised."""
        if guess.matched != DRAFTED:
            return guess
        token_ids = self._row.guess([*answer_ids, pending], len(guess.token_ids))
        usable = [token_id < self._vocab_size and token_id not in self._barred for token_id in token_ids]
        stop = usable.index(False) if False in usable else len(token_ids)
        return Guess(tuple(token_ids[:stop]), DRAFTED) if stop else NO_GUESS

    def seconds(self, guess: Guess) -> float:
        """Say how long the draft takes for each token."""
        return self._draft.seconds_per_token if guess.matched == DRAFTED else 0.0


class GuessingRow(Protocol):
    """A row, as far as guessing goes."""

    guesser: Guesser | None
    guess: Guess
    token_ids: list[int]

    @property
    def guess_room(self) -> int:
        """Tokens that may be guessed now."""
        ...

    @property
    def pending_id(self) -> int | None:
        """The pending token, if it was read."""
        ...

    def read_pending(self) -> int:
        """Wait for the pending token."""
        ...

    def cut_guess(self, guess: Guess) -> Guess:
        """Leave out what the row's rules forbid."""
        ...


def plan_guesses(rows: Sequence[GuessingRow], costs: StepCosts) -> None:
    """Set the `guess` of each row that takes the next step; it is empty where guessing does not pay."""
    num_guessed, num_expected = 0, 0.0
    is_trial = costs.allows_trial(len(rows))
    for row in rows:
        row.guess = NO_GUESS
        guesser = row.guesser
        if guesser is None:
            continue
        decision = _Decision(guesser, costs, len(rows), num_guessed, num_expected, is_trial)
        try:
            row.guess = _guess(row, guesser, decision)
        except Exception:  # the border of one request: it goes on without guesses
            row.guesser = None
            continue
        if row.guess.token_ids:
            num_guessed += len(row.guess.token_ids)
            num_expected += guesser.expected(row.guess)[-1]
            guesser.price = decision.price(row.guess)


def _guess(row: GuessingRow, guesser: Guesser, pays: _Decision) -> Guess:
    most = min(guesser.most, row.guess_room)
    if most < 1 or not guesser.may_lose(len(row.token_ids)):
        return NO_GUESS
    least = pays.least_match(most)
    if least is None:
        return NO_GUESS
    if row.pending_id is None:
        # The pending token is still being computed: it is waited for only where it has likely been guessed.
        ahead = guesser.look(row.token_ids, None, most=most + 1, least=least)
        if not pays.best(Guess(ahead.token_ids[1:], ahead.matched)).token_ids:
            return NO_GUESS
    pending = row.read_pending()
    guess = pays.best(guesser.look(row.token_ids, pending, most=most, least=least))
    return row.cut_guess(guesser.fulfil(guess, row.token_ids, pending)) if guess.token_ids else NO_GUESS


def most_guessed(*, num_heads: int, num_kv_heads: int) -> int:
    """Return how many tokens a row may guess in a step beside its pending one."""
    return max(1, min(MOST_QUERIES, MOST_ATTENTION_ROWS * num_kv_heads // num_heads)) - 1


class _Decision:
    """How many guessed tokens of one row pay, beside those that other rows of the step have guessed."""

    def __init__(
        self,
        guesser: Guesser,
        costs: StepCosts,
        num_rows: int,
        num_guessed: int,
        num_expected: float,
        is_trial: bool,
    ) -> None:
        self._guesser, self._costs, self._is_trial = guesser, costs, is_trial
        self._num_rows, self._num_guessed, self._num_expected = num_rows, num_guessed, num_expected

    def least_match(self, most: int) -> int | None:
        """Say how long a run has to be for a guess of up to `most` tokens to pay; None where none would.

        Most turns of an answer that copies nothing end here or with a short search: it is worked out when a cost or a
        rate has changed, not in each turn.
        """
        each = self._each(Guess((0,), DRAFTED)) if DRAFTED in self._guesser.lengths else 0.0
        others = self._num_rows, self._num_guessed, self._num_expected
        given = (self._costs, self._costs.version, self._is_trial, *others, most, each)
        return self._guesser.needed(given, lambda: self._work_out(most))

    def _work_out(self, most: int) -> int | None:
        guesses = (Guess((0,) * most, length) for length in self._guesser.lengths)
        return next((guess.matched for guess in guesses if self.best(guess).token_ids), None)

    def best(self, guess: Guess) -> Guess:
        """Cut a guess to the tokens that give most tokens for the time of the step."""
        if self._is_trial and self._num_guessed == 0 and (guess.matched >= TRIAL_MATCH or guess.matched == DRAFTED):
            return guess
        each = self._each(guess)
        now = self._speed(self._num_expected, self._num_guessed)
        if now is None:
            return NO_GUESS
        best_count, best_speed = 0, now * (1.0 + LEAST_GAIN / self._num_rows)
        for count, expected in enumerate(self._guesser.expected(guess)):
            speed = self._speed(self._num_expected + expected, self._num_guessed + count, more=each * count)
            if count and speed is not None and speed > best_speed:
                best_count, best_speed = count, speed
        return Guess(guess.token_ids[:best_count], guess.matched) if best_count else NO_GUESS

    def price(self, guess: Guess) -> float:
        """Say how many tokens all rows would have had in the time that a guess takes; all of its own, if not known."""
        count = len(guess.token_ids)
        before = self._costs.ratio(self._num_rows, self._num_guessed)
        after = self._costs.ratio(self._num_rows, self._num_guessed + count)
        if before is None or after is None:
            return float(count)
        return self._num_rows * (after - before + self._each(guess) * count)

    def _each(self, guess: Guess) -> float:
        """Plain steps that it takes to make each token of a guess."""
        plain_s = self._costs.plain_seconds(self._num_rows)
        return self._guesser.seconds(guess) / plain_s if plain_s else 0.0

    def _speed(self, num_expected: float, num_guessed: int, *, more: float = 0.0) -> float | None:
        ratio = self._costs.ratio(self._num_rows, num_guessed)
        return None if ratio is None else (self._num_rows + num_expected) / (ratio + more)


def _shortest(matched: int) -> int:
    return max(shortest for shortest in _FIRST_RATES if shortest <= max(matched, min(_FIRST_RATES)))
