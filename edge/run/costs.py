"""Measure what a decode step of more tokens costs beside a plain one, so that guessing is done only where it pays.

On a GPU a step of four tokens takes hardly longer than one of one token, since both read the weights once; with many
experts it takes longer, and on a CPU without fast matrix products nearly four times as long. Nobody knows before it
was tried here: the first few wide steps are trials, made where the guess is most likely right.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection

TRIALS = 3
"""Wide steps that are measured before their cost is believed: the first may have compiled its kernels."""
PLAIN_SAMPLES = 3
AGAIN_TURNS = 512
"""After so many turns without a wide step one is tried again, whatever was measured: the machine may have changed."""
WAIT_TURNS = 64
"""A trial whose guesses were all wrong is followed by so many plain turns; by none, if all were right."""


class StepCosts:
    """Seconds of decode steps by rows and by guessed tokens; on the model thread only.

    Attributes:
        version: A number that changes whenever a ratio may have.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Measure with a clock that gives seconds."""
        self.version = 0
        self._clock = clock
        self._plain: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=9))
        self._wide: defaultdict[int, defaultdict[int, deque[float]]] = defaultdict(
            lambda: defaultdict(lambda: deque(maxlen=5))
        )
        self._started_s = 0.0
        self._ratios: dict[tuple[int, int], float | None] = {}
        self._last: tuple[int, int, float] | None = None
        self._rest_turns = 0
        self._idle_turns = 0

    def start(self) -> None:
        """Begin a turn: its guesses are made, its step is not."""
        self._started_s = self._clock()

    def end(self, num_rows: int, num_guessed: int, num_right: int = 0) -> None:
        """End a turn that began with `start`.

        Args:
            num_rows: Rows that took part.
            num_guessed: Guessed tokens of all of them.
            num_right: How many of these were right.
        """
        now = self._clock()
        last, self._last = self._last, (num_rows, num_guessed, now)
        self._rest_turns = max(0, self._rest_turns - 1)
        self._idle_turns += 1
        if num_guessed == 0:
            # Plain steps overlap: what a step takes is the time from end to end.
            if last is not None and last[:2] == (num_rows, 0):
                self._plain[num_rows].append(now - last[2])
            return
        self._idle_turns = 0
        self._rest_turns = WAIT_TURNS * (num_guessed - num_right) // num_guessed
        plain_s = self.plain_seconds(num_rows)
        if plain_s:
            self._wide[num_rows][num_guessed].append((now - self._started_s) / plain_s)
            self._ratios.clear()
            self.version += 1

    def disturb(self) -> None:
        """Something else ran in between: the next plain turn is not measured."""
        self._last = None

    def plain_seconds(self, num_rows: int) -> float:
        """Say how long a step without guesses takes; 0 while it is not known."""
        plain = self._plain[num_rows]
        return median(plain) if len(plain) >= PLAIN_SAMPLES else 0.0

    def ratio(self, num_rows: int, num_guessed: int) -> float | None:
        """Say what a step with guesses costs in plain steps of as many rows; None where it is not known yet.

        What was not tried lies on the line between its neighbours; 0 guesses cost 1.
        """
        key = num_rows, num_guessed
        if key not in self._ratios:
            self._ratios[key] = self._ratio(num_rows, num_guessed)
        return self._ratios[key]

    def allows_trial(self, num_rows: int) -> bool:
        """Tell whether a wide step may be tried for the sake of knowing its cost."""
        if not self.plain_seconds(num_rows):
            return False
        is_known = self.ratio(num_rows, 1) is not None
        return self._idle_turns >= AGAIN_TURNS if is_known else self._rest_turns == 0

    def _ratio(self, num_rows: int, num_guessed: int) -> float | None:
        known = {0: 1.0} | {
            number: median(samples) for number, samples in self._wide[num_rows].items() if len(samples) >= TRIALS
        }
        if num_guessed in known:
            return known[num_guessed]
        if len(known) == 1:
            return None
        below = max(number for number in known if number < num_guessed)
        above = min((number for number in known if number > num_guessed), default=None)
        if above is None:
            below, above = sorted(known)[-2:]  # go on as steeply as between the last two
        slope = (known[above] - known[below]) / (above - below)
        return known[below] + slope * (num_guessed - below)


def median(values: Collection[float]) -> float:
    """As the standard library's, which takes 4 ms to import: not before there is something to take it of."""
    from statistics import median as of

    return of(values)
