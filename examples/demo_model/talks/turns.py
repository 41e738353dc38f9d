"""Talks of up to six turns that mix pictures, a clip and text.

In: a seeded `random.Random`. Out: a `Talk`: the turns so far, each with what is shown in it, and what the next question
can be about. A question is about what was shown last; the first picture may be asked for by name.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from .. import clips, dialogue, tasks, words
from ..asked import as_json, how_many, rephrased, which, yes_no
from ..asked.wordings import Practice, choice
from ..clips import Clip
from ..dialogue import NO_PICTURE
from ..looks.scenery import varied_scene, varied_sign
from ..scenes import Scene, random_scene, sign_scene
from ..tasks import Question
from . import further
from .refusals import refusal

MOST_TURNS = 6
Shown = Scene | Clip
ABOUT_SHAPES = (
    tasks.describe, rephrased.describe, how_many.how_many, yes_no.yes_no, yes_no.yes_no, which.which_colour,
    which.which_shape, tasks.where, as_json.as_json,
)  # fmt: skip
ABOUT_SIGN = (tasks.read, rephrased.read, which.which_colour, yes_no.yes_no, tasks.describe, how_many.how_many)
FIRST = ("What was in the first picture?", "What did the first picture show?", "Describe the first picture again.")


@dataclass(frozen=True, slots=True)
class Turn:
    """A user's turn: what it shows, if anything, and its question with the answer."""

    shown: Shown | None
    question: Question


@dataclass(frozen=True, slots=True)
class Talk:
    """Finished turns, and what the coming turn shows."""

    turns: tuple[Turn, ...]
    shown: Shown | None

    def all_shown(self) -> list[Shown]:
        """Return everything shown, in order."""
        return [turn.shown for turn in self.turns if turn.shown is not None] + (
            [] if self.shown is None else [self.shown]
        )

    def ask(self, rng: random.Random, *, unseen: bool = False) -> Question:
        """Ask the coming turn's question."""
        return ask_about(rng, self.all_shown(), is_new=self.shown is not None, unseen=unseen)


def random_talk(rng: random.Random, *, most: int = MOST_TURNS, unseen: bool = False) -> Talk:
    """Make a talk whose coming turn is the second to the last of `most`; at most three pictures and one clip."""
    turns: list[Turn] = []
    shown: list[Shown] = []
    if isinstance(rng, Practice):
        most = rng.choice((most, most, most + 2))
    for _ in range(rng.randint(1, most - 1)):
        new = _show(rng, shown)
        shown += [] if new is None else [new]
        turns.append(Turn(new, ask_about(rng, shown, is_new=new is not None, unseen=unseen)))
    return Talk(tuple(turns), _show(rng, shown))


def _show(rng: random.Random, shown: list[Shown]) -> Shown | None:
    """Show a picture, a clip or nothing."""
    way = rng.random()
    if way < 0.12 and not any(isinstance(one, Clip) for one in shown):
        return clips.random_clip(rng)
    if way < (0.45 if shown else 0.8) and sum(isinstance(one, Scene) for one in shown) < 3:
        if rng.random() < 0.3:
            text = words.sign_text(rng)
            return sign_scene(rng, text) if rng.random() < 0.5 else varied_sign(rng, text)
        return random_scene(rng) if rng.random() < 0.6 else varied_scene(rng)
    return None


def ask_about(rng: random.Random, shown: list[Shown], *, is_new: bool, unseen: bool = False) -> Question:
    """Ask about what was shown last, now and then something else."""
    way = rng.random()
    if not is_new and way < 0.15:
        return refusal(rng, unseen=unseen)
    if not is_new and way < 0.3:
        return dialogue.small_talk(rng, has_picture=True)
    if not shown:
        question = rephrased.describe(rng, tasks_scene(rng), unseen=unseen)
        return replace(question, kind="talk", thought="I answer in words.", answer=NO_PICTURE)
    first = shown[0]
    if len(shown) > 1 and isinstance(first, Scene) and way < 0.38:
        return replace(tasks.describe(rng, first), text=choice(rng, FIRST, further.FIRST), kind="first")
    last = shown[-1]
    if isinstance(last, Clip):
        question = clips.when(rng, last)
        return rephrased.appears(rng, question) if isinstance(rng, Practice) and rng.random() < 0.5 else question
    maker = rng.choice(ABOUT_SHAPES if last.sign is None else ABOUT_SIGN)
    if maker in (tasks.describe, tasks.where, tasks.read):
        return maker(rng, last)
    return maker(rng, last, unseen=unseen)  # type: ignore[call-arg]  # all others keep wordings back


def tasks_scene(rng: random.Random) -> Scene:
    """Make any scene, for a question about a picture that is not there."""
    return random_scene(rng, low=1, high=1)
