"""All held-out tasks, in three groups, and their cases.

In: a task's name and a number. Out: `Case`s.
"""

from __future__ import annotations

import random

from . import asked_checks, checks, talk_checks
from .checks import SEED, Case, Maker

FIRST = tuple(checks.TASKS)  # what the first version of the model was measured on
TASKS: dict[str, Maker] = {**checks.TASKS, **asked_checks.TASKS, **talk_checks.TASKS}


def cases(task: str, number: int) -> list[Case]:
    """Make `number` cases of a task (a key of `TASKS`)."""
    return [TASKS[task](random.Random(f"{SEED}-{task}-{index}")) for index in range(number)]
