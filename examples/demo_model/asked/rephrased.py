"""More wordings of the questions that `tasks.py` asks.

In: a scene and a seeded `random.Random`. Out: the same `Question`s in other words.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace

from .. import clips, pairs, tasks
from ..scenes import Scene
from ..tasks import Question
from . import further
from .wordings import Wordings

DESCRIBE = Wordings(
    ("What is this?", "What's in the picture?", "What can you see?", "Tell me what you see.", "Describe this picture.",
     "What do you see in this picture?", "What does this image show?", "Please describe the image.", "Describe it.",
     "Explain the picture.", "What is shown here?", "What objects are in the picture?"),
    ("What is in this photo?", "Tell me about this picture.", "Give me a description of the image.",
     "Can you describe this picture?"),
    further.DESCRIBE,
)  # fmt: skip
READ = Wordings(
    ("What does this sign say?", "Read the text in the picture.", "What is the text?", "Read this.",
     "What word is this?", "Can you read the sign?", "What is on the sign?", "Which text do you see?",
     "Transcribe the text.", "What does the text say?"),
    ("What does the picture say?", "Read the word.", "Tell me what is written.", "What's written on the sign?"),
    further.READ,
)  # fmt: skip
WHERE = Wordings(
    ("Where is the {}?", "Where can I find the {}?", "At which place is the {}?", "Find the {}.", "Locate the {}.",
     "What is the position of the {}?", "Where in the picture is the {}?"),
    ("Where exactly is the {}?", "Can you tell me where the {} is?"),
    further.WHERE,
)  # fmt: skip
COMPARE = Wordings(
    ("What changed?", "What is different?", "How do the pictures differ?", "What is the difference between the images?",
     "Tell me what changed.", "Compare the images.", "Spot the difference."),
    ("What is not the same?", "What changed from the first picture to the second?"),
    further.COMPARE,
)  # fmt: skip
ONE_DESCRIBED = Wordings(
    ("What is in the {nth} picture?", "Describe the {nth} picture.", "What does the {nth} image show?",
     "What do you see in the {nth} picture?", "Tell me what is in the {nth} image.",
     "What can be seen in the {nth} picture?"),
    ("Tell me about the {nth} picture.", "What is there in the {nth} image?"),
    further.ONE_DESCRIBED,
)  # fmt: skip
ONE_COUNTED = Wordings(
    ("How many objects are in the {nth} picture?", "Count the objects in the {nth} picture.",
     "How many things are in the {nth} image?", "How many objects does the {nth} picture show?",
     "How many objects do you see in the {nth} picture?", "What is the number of objects in the {nth} picture?"),
    ("How many objects can you find in the {nth} picture?", "Give me the number of objects in the {nth} image."),
    further.ONE_COUNTED,
)  # fmt: skip
WHEN = Wordings(
    ("When does the {} appear?", "At which second does the {} appear?", "At what time does the {} show up?",
     "In which second can the {} first be seen?", "When does the {} show up?", "When is the {} first seen?"),
    ("At what second does the {} come up?", "When do you first see the {}?"),
    further.WHEN,
)  # fmt: skip
HAPPENS = Wordings(
    ("What happens in the video?", "Describe the video.", "What happens?", "What is going on in this clip?",
     "What happens in this clip?", "Tell me what happens."),
    ("What can be seen in the video?", "Tell me about the clip."),
    further.HAPPENS,
)  # fmt: skip


def describe(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask what the picture shows."""
    return replace(tasks.describe(rng, scene), text=DESCRIBE.pick(rng, unseen=unseen))


def read(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask what is written."""
    return replace(tasks.read(rng, scene), text=READ.pick(rng, unseen=unseen))


def where(rng: random.Random, scene: Scene, *, unseen: bool = False) -> Question:
    """Ask where a thing is; questions of `tasks.where` that have no other wording stay."""
    question = tasks.where(rng, scene)
    asked = matching(question.text, tasks.WHERE)
    return replace(question, text=WHERE.template(rng, unseen=unseen).format(asked)) if asked else question


def compare(rng: random.Random, pair: tuple[Scene, Scene, str], *, unseen: bool = False) -> Question:
    """Ask what changed between two pictures."""
    return replace(pairs.compare(rng, pair), text=COMPARE.pick(rng, unseen=unseen))


def one_of_two(rng: random.Random, pair: tuple[Scene, Scene], *, unseen: bool = False) -> Question:
    """Ask about the first or the second picture alone."""
    question = pairs.one_of_two(rng, pair)
    wordings = ONE_COUNTED if question.text.startswith("How many") else ONE_DESCRIBED
    nth = next(nth for nth in pairs.NTH if nth in question.text)
    return replace(question, text=wordings.pick(rng, unseen=unseen, nth=nth))


def appears(rng: random.Random, question: Question, *, unseen: bool = False) -> Question:
    """Put a question about a clip, when something appears or what happens, into other words."""
    asked = matching(question.text, clips.WHEN)
    text = WHEN.template(rng, unseen=unseen).format(asked) if asked else HAPPENS.pick(rng, unseen=unseen)
    return replace(question, text=text)


def matching(text: str, templates: tuple[str, ...]) -> str | None:
    """Return what stands in the braces of the template that a text follows."""
    for template in templates:
        found = re.fullmatch(re.escape(template).replace(r"\{\}", "(.+)"), text)
        if found:
            return found.group(1)
    return None
