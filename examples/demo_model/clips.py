"""Clips, and questions about what is seen in them at which second.

In: a seeded `random.Random`. Out: `Clip`s and `Question`s about them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .scenes import Scene, Thing, random_scene, with_things
from .tasks import Question, listing, with_article

WHEN = (
    "When does the {} appear?", "At which second does the {} appear?", "At what time does the {} show up?",
    "In which second can the {} first be seen?",
)  # fmt: skip
HAPPENS = ("What happens in the video?", "Describe the video.", "What happens?", "What is going on in this clip?")
PRESENT = ("In which seconds is the {} there?", "When can the {} be seen?", "At which seconds do you see the {}?")
WATCH = ("What is there second by second?", "Go through the video.", "Name what is seen at each second.")


@dataclass(frozen=True, slots=True)
class Clip:
    """A video: what is seen in each of its seconds, and the thing it is about."""

    views: tuple[Scene, ...]
    thing: Thing

    @property
    def seconds(self) -> int:
        """Length."""
        return len(self.views)

    @property
    def at(self) -> int:
        """First second in which the thing is seen."""
        return next(second for second in range(self.seconds) if self.is_seen(second))

    def is_seen(self, second: int) -> bool:
        """Tell whether the thing is there."""
        return self.thing in self.views[second].things

    def second_of(self, time_s: float) -> int:
        """Return the second a time lies in."""
        return min(int(time_s + 1e-6), self.seconds - 1)


def random_clip(rng: random.Random) -> Clip:
    """Make a clip of 4 to 6 seconds in which one thing appears at a whole second."""
    after, thing = scene_about(rng)
    seconds = rng.randint(4, 6)
    before = with_things(after, [one for one in after.things if one is not thing])
    at = rng.randint(1, seconds - 1)
    return Clip((before,) * at + (after,) * (seconds - at), thing)


def clip_times(rng: random.Random | None, clip: Clip) -> list[float]:
    """Return the times of the sampled frames: 2 a second, taken evenly from a film of some frame rate."""
    rate = 2 if rng is None else rng.choice((2, 2, 8, 10, 12, 15, 24, 25, 30))
    total = clip.seconds * rate
    number = clip.seconds * 2
    return [round(i * (total - 1) / (number - 1)) / rate for i in range(number)]


def when(rng: random.Random, clip: Clip) -> Question:
    """Ask when something appears, or what happens."""
    name = clip.thing.name
    if rng.random() < 0.6:
        answer = f"The {name} appears at second {clip.at}."
        seen = ", ".join(f"{second} {'yes' if second == clip.at else 'no'}" for second in range(clip.at + 1))
        return Question("video", rng.choice(WHEN).format(name), f"The {name} is {clip.thing.place}. {seen}.", answer)
    answer = f"{with_article(name).capitalize()} appears {clip.thing.place} at second {clip.at}."
    seen = "; ".join(f"{second}: {listing(view.things)}" for second, view in enumerate(clip.views[: clip.at + 1]))
    return Question("video", rng.choice(HAPPENS), f"{seen}. Something new: {with_article(name)}.", answer)


def mixed_clip(rng: random.Random) -> Clip:
    """Make a clip of 4 to 6 seconds in which things come and go: no second follows from another."""
    scene, thing = scene_about(rng)
    views = tuple(
        with_things(scene, [one for one in scene.things if rng.random() < 0.55]) for _ in range(rng.randint(4, 6))
    )
    return Clip(views, thing) if any(thing in view.things for view in views) else mixed_clip(rng)


def scene_about(rng: random.Random) -> tuple[Scene, Thing]:
    """Make a scene, and choose a thing in it that no other has the name of."""
    while True:
        scene = random_scene(rng, low=1, high=3)
        thing = rng.choice(scene.things)
        if sum(one.name == thing.name for one in scene.things) == 1:
            return scene, thing


def second_by_second(rng: random.Random, clip: Clip) -> Question:
    """Ask in which seconds something is seen, or for everything in each."""
    if rng.random() < 0.6:
        seen = ", ".join(f"{second} {'yes' if clip.is_seen(second) else 'no'}" for second in range(clip.seconds))
        where = ", ".join(str(second) for second in range(clip.seconds) if clip.is_seen(second))
        thought = f"The {clip.thing.name} is {clip.thing.place}. {seen}."
        return Question("seconds", rng.choice(PRESENT).format(clip.thing.name), thought, f"At second {where}.")
    seen = "; ".join(f"{second}: {listing(view.things)}" for second, view in enumerate(clip.views))
    return Question("seconds", rng.choice(WATCH), "I go second by second.", f"{seen}.")
