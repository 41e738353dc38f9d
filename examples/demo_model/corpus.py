"""Sample sentences of every task, for training the tokenizer."""

from __future__ import annotations

import random

from .choosing import WEIGHTS
from .dialogue import TOOLS
from .looks.canvas import SQUARE
from .prompt_text import TOOLS_HEAD, TOOLS_TAIL, tools_text
from .rows import LANES, ROWS

EXTRA = (
    "Hello! This is a small model. Please show me a picture, a video or a sign and ask about the shapes, colors and "
    "numbers in it. It is not able to answer other questions. Where, when, what, why, who, which and how many? "
) * 3


def corpus(seed: int = 1, rows: int = 300) -> list[str]:
    """Return the texts of `rows` rows of every kind."""
    rng = random.Random(seed)
    texts = [TOOLS_HEAD, TOOLS_TAIL, EXTRA, tools_text(list(TOOLS))] * 5
    for name, make in ROWS.items():
        if not LANES[name]:
            continue
        for _ in range(rows):
            row = make(rng, 0.0, WEIGHTS, SQUARE)
            texts.append(row.prefix)
            for _ in range(4):
                context, question = next(row.questions)
                texts += [context, question.target()]
    return texts
