"""Animations whose frames are held unevenly: a thing appears at any time, and samples fall where they fall.

In: a seeded `random.Random`. Out: `Animation`s as the prompt shows them, and `Question`s about them. The second of a
pair of samples is the whole part of the time written before it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

from .clips import HAPPENS, WHEN, scene_about
from .scenes import Scene, Thing, with_things
from .tasks import Question, listing, with_article

RATE = 2.0
LEAST_FRAMES = 4


@dataclass(frozen=True, slots=True)
class Animation:
    """What is seen at each sampled time, and the thing that appears."""

    times_s: tuple[float, ...]
    views: tuple[Scene, ...]
    thing: Thing

    @property
    def pairs(self) -> list[tuple[float, Scene, Scene]]:
        """Return each temporal patch: the mean time, and what its two frames show."""
        times = [*self.times_s, *self.times_s[-1:] * (len(self.times_s) % 2)]
        views = [*self.views, *self.views[-1:] * (len(self.views) % 2)]
        return [
            ((times[index] + times[index + 1]) / 2, views[index], views[index + 1]) for index in range(0, len(times), 2)
        ]

    @property
    def seconds(self) -> list[int]:
        """Return the second of each pair, up to the first that shows the thing."""
        seen = []
        for time, _, view in self.pairs:
            seen.append(int(float(f"{time:.1f}")))
            if self.thing in view.things:
                break
        return seen


def random_animation(rng: random.Random, *, low: int = LEAST_FRAMES, high: int = 13) -> Animation:
    """Make 3 to 9 frames held for 0.2 to 2 seconds each, sampled evenly by time, now and then frame by frame.

    Args:
        rng: Source of chance.
        low: Fewest samples.
        high: Most samples.
    """
    after, thing = scene_about(rng)
    before = with_things(after, [one for one in after.things if one is not thing])
    while True:
        holds = [rng.choice((0.2, 0.5, 0.5, 1.0, 1.5, 2.0, rng.uniform(0.2, 2.0))) for _ in range(rng.randint(3, 9))]
        starts = [0.0, *accumulate(holds)]
        if 1.5 <= starts[-1] <= 6.5 and low <= max(int(starts[-1] * RATE), LEAST_FRAMES) <= high:
            break
    first = rng.randint(1, len(holds) - 1)
    if rng.random() < 0.15 and len(holds) >= LEAST_FRAMES:
        times = starts[:-1]
    else:
        wanted = int(starts[-1] * RATE)
        count = min(max(wanted, LEAST_FRAMES), max(wanted, len(holds)))
        last = max(starts[-2], starts[-1] - 1 / RATE)
        times = [last * index / (count - 1) for index in range(count)]
    views = tuple(after if time >= starts[first] - 1e-6 else before for time in times)
    if thing not in views[-1].things or thing in views[1].things or not low <= len(views) <= high:
        return random_animation(rng, low=low, high=high)  # the first pair must lack the thing
    return Animation(tuple(times), views, thing)


def appears(rng: random.Random, animation: Animation) -> Question:
    """Ask when something appears, or what happens."""
    name, seconds = animation.thing.name, animation.seconds
    if rng.random() < 0.6:
        steps = [f"{second} {'yes' if index == len(seconds) - 1 else 'no'}" for index, second in enumerate(seconds)]
        thought = f"The {name} is {animation.thing.place}. {', '.join(steps)}."
        return Question(
            "animation", rng.choice(WHEN).format(name), thought, f"The {name} appears at second {seconds[-1]}."
        )
    views = [view for _, _, view in animation.pairs]
    seen = "; ".join(f"{second}: {listing(view.things)}" for second, view in zip(seconds, views, strict=False))
    answer = f"{with_article(name).capitalize()} appears {animation.thing.place} at second {seconds[-1]}."
    return Question("animation", rng.choice(HAPPENS), f"{seen}. Something new: {with_article(name)}.", answer)
