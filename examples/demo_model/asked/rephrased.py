"""More wordings of the questions that `tasks.py` asks.

In: a scene and a seeded `random.Random`. Out: the same `Question`s in other words.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace

from .. import pairs, tasks
from ..scenes import Scene
from ..tasks import Question
from .wordings import Wordings

DESCRIBE = Wordings(
    ("What is this?", "What's in the picture?", "What can you see?", "Tell me what you see.", "Describe this picture.",
     "What do you see in this picture?", "What does this image show?", "Please describe the image.", "Describe it.",
     "Explain the picture.", "What is shown here?", "What objects are in the picture?"),
    ("What is in this photo?", "Tell me about this picture.", "Give me a description of the image.",
     "Can you describe this picture?"),
)  # fmt: skip
READ = Wordings(
    ("What does this sign say?", "Read the text in the picture.", "What is the text?", "Read this.",
     "What word is this?", "Can you read the sign?", "What is on the sign?", "Which text do you see?",
     "Transcribe the text.", "What does the text say?"),
    ("What does the picture say?", "Read the word.", "Tell me what is written.", "What's written on the sign?"),
)  # fmt: skip
WHERE = Wordings(
    ("Where is the {}?", "Where can I find the {}?", "At which place is the {}?", "Find the {}.", "Locate the {}.",
     "What is the position of the {}?", "Where in the picture is the {}?"),
    ("Where exactly is the {}?", "Can you tell me where the {} is?"),
)  # fmt: skip
COMPARE = Wordings(
    ("What changed?", "What is different?", "How do the pictures differ?", "What is the difference between the images?",
     "Tell me what changed.", "Compare the images.", "Spot the difference."),
    ("What is not the same?", "What changed from the first picture to the second?"),
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
    return (
        replace(question, text=rng.choice(WHERE.unseen if unseen else WHERE.seen).format(asked)) if asked else question
    )


def compare(rng: random.Random, pair: tuple[Scene, Scene, str], *, unseen: bool = False) -> Question:
    """Ask what changed between two pictures."""
    return replace(pairs.compare(rng, pair), text=COMPARE.pick(rng, unseen=unseen))


def matching(text: str, templates: tuple[str, ...]) -> str | None:
    """Return what stands in the braces of the template that a text follows."""
    for template in templates:
        found = re.fullmatch(re.escape(template).replace(r"\{\}", "(.+)"), text)
        if found:
            return found.group(1)
    return None
