"""Hold guesses against what the model says: choose a token after each, and take them as long as they were right.

The token after each guess is chosen as it would be without guessing: from the logits at its place, with the same
penalties, mask and random key. A guess is right when it is the token chosen before it. So greedy answers stay what
they are, sampled ones keep their distribution (a guess is accepted with the probability that the model gives it, and
what comes in its place has the probabilities of the rest), and one seed gives one text, guessed or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from edge.events import Event
from edge.records import dataclass
from edge.run.sample import SamplerState

if TYPE_CHECKING:
    from edge.run.row import Row, Step


@dataclass(frozen=True, slots=True)
class Checked:
    """What a step with guesses gave for one row.

    Attributes:
        logits: (G + 1, V), after the pending token and after each of the G guesses.
        steps: The token chosen at each place, as if all guesses before it were right; empty for a row whose rules need
            each token read before the next is chosen.
        states: The sampler after each of these choices.
    """

    logits: mx.array
    steps: tuple[Step, ...]
    states: tuple[SamplerState, ...]

    @property
    def arrays(self) -> list[mx.array]:
        """What has to be evaluated for it to be read."""
        return [array for step in self.steps for array in step.arrays] or [self.logits]


def choose_checked(row: Row, logits: mx.array) -> Checked:
    """Choose the token after the pending one and after each guess of a row, from logits (G + 1, V)."""
    if row.waits_for_token:
        return Checked(logits, (), ())
    sampler = row.sampler
    best = mx.argmax(logits, axis=-1).astype(mx.int32) if sampler.takes_the_best else None
    steps: list[Step] = []
    states: list[SamplerState] = []
    for index in range(len(row.guess.token_ids) + 1):
        if index:
            sampler.accept(mx.array([row.guess.token_ids[index - 1]], dtype=mx.int32))
        token = best[index : index + 1] if best is not None else sampler.sample(logits[index])
        steps.append(row.step_of(token, logits[index]))
        states.append(sampler.state)
    return Checked(logits, tuple(steps), tuple(states))


def read_checked(row: Row, checked: Checked) -> list[Event]:
    """Take the guesses that were right, up to the first that was not; the row's pending token is the one in its place.

    The pending token before the guesses was read by the row already.
    """
    events: list[Event] = []
    chosen = _read_tokens(checked.steps)
    num_right = 0
    for index, guessed in enumerate((*row.guess.token_ids, None)):
        if checked.steps:
            row.pending = step = checked.steps[index]
            step.token_id = chosen[index]
            if row.waits_for_token:
                break  # the last token changed the rules: what follows this one is chosen anew
        else:
            row.pending = step = row.choose(checked.logits[index])
        row.force()
        if guessed is None or row.pending is not step or row.read_pending() != guessed:
            break
        row.count_pending()
        events += row.read(guessed, step)
        num_right += 1
        if row.stage == "done":
            break
    if checked.states:
        row.sampler.restore(checked.states[num_right])
    row.note_guess(num_right)
    return events


def _read_tokens(steps: Sequence[Step]) -> list[int]:
    """Wait for all chosen tokens at once."""
    if not steps:
        return []
    tokens: list[int] = np.array(mx.concatenate([step.token for step in steps])).tolist()
    return tokens
