"""Rows of a batch about tools and talks.

In: a seeded `random.Random`, the chance of a disturbed picture. Out: `Row`s.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from . import animations
from .clips import Clip
from .looks.canvas import CLIP_FRAMES, Grid
from .pictures import Seen, picture, still
from .prompt_text import IMAGE, USER, offer_text, part_text, said, turn, turns
from .row import Mix, Row, clip_prefix
from .talks import turns as talks
from .talks.copying import look_up, repeat, sort_out
from .talks.declarations import adorned
from .talks.free_tools import FAMILIES, again, random_use
from .talks.in_a_row import offer, one_call, two_calls, two_uses
from .talks.refusals import refusal
from .tasks import Question

SORTING = 0.6  # share of the rows without pictures in which names are sorted


def free_tools_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """Tools of any name on offer, and loops with them."""
    first, second, text = two_uses(rng)
    single = random_use(rng, rng.choice(list(FAMILIES)))
    needed = [first, second]
    if single.name in (first.name, second.name) or rng.random() < 0.5:
        single = rng.choice(needed)
    tools = offer(rng, [*needed, single])

    def questions() -> Iterator[tuple[str, Question]]:
        while True:
            way = rng.random()
            if way < 0.55:
                chosen = rng.choice((single, first, second))
                loop = one_call(rng, again(rng, chosen), tools)
            elif way < 0.9:
                loop = two_calls(rng, first, second, text, tools)
            else:
                yield turn(rng, refusal(rng))
                continue
            for step in loop:
                yield step.context(), step.answer

    return Row(offer_text(adorned(rng, tools)) + USER, [], questions())


def talk_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """A talk of some turns, and questions that may come next."""
    return row_of_talk(rng, talks.random_talk(rng), noise=noise)


def row_of_talk(rng: random.Random, talk: talks.Talk, *, noise: float) -> Row:
    """Write the turns so far and what the coming turn shows."""
    prefix, seen = "", []
    for one in talk.turns:
        text, units = _shown(rng, one.shown, noise)
        prefix += text + said(one.question)
        seen += units
    text, units = _shown(rng, talk.shown, noise)
    return Row(USER + prefix + text, seen + units, turns(rng, lambda: talk.ask(rng), follow_up=0.25))


def refusal_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """No picture and no tool."""
    return Row(USER, [], turns(rng, lambda: refusal(rng), follow_up=0.1))


def copying_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """No picture: texts to repeat, values to look up, names to sort."""
    if rng.random() < SORTING:
        return Row(USER, [], turns(rng, lambda: sort_out(rng), follow_up=0.0))
    return Row(USER, [], turns(rng, lambda: (repeat if rng.random() < 0.5 else look_up)(rng), follow_up=0.0))


def animation_row(rng: random.Random, noise: float, mix: Mix, grid: Grid) -> Row:
    """An animation with uneven holds."""
    low, high = CLIP_FRAMES[grid]
    animation = animations.random_animation(rng, low=low, high=high)
    drawn = {id(view): picture(view, rng, noise, grid) for view in animation.views}
    text, seen = "", []
    for time, first, second in animation.pairs:
        text += f"<{time:.1f} seconds>" + part_text(grid)
        seen.append(((drawn[id(first)], drawn[id(second)]), second))
    return Row(USER + text, seen, turns(rng, lambda: animations.appears(rng, animation), follow_up=0.0))


def _shown(rng: random.Random, shown: talks.Shown | None, noise: float) -> tuple[str, list[Seen]]:
    if shown is None:
        return "", []
    if isinstance(shown, Clip):
        return clip_prefix(rng, shown, lambda scene: picture(scene, rng, noise))
    return IMAGE, [still(shown, rng, noise)]
