"""Write one of the three sets as a prompt file of `convert verify` and `convert calibrate`.

In: the name of a set. Out: `prompts.jsonl` with pictures beside it. No two sets share a scene, a generator's seed or a
wording of a question, and none shares a seed with the recipe's training and tests. The second set lies in `second/` as
it was drawn, two cases a task: later changes of the recipe draw other cases from the same seeds.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import asked_checks, checks
from ..checks import Case
from . import second_texts, tuning_texts
from .unlike import Unlike
from .wordings import SECOND, TUNING, Table, reworded

Json = Any  # messages
SECOND_FOLDER = Path(__file__).parent / "second"
SETS: Mapping[str, Table | None] = {"calibration": None, "tuning": TUNING, "second": SECOND}
TASKS = {**checks.TASKS, **{name: asked_checks.TASKS[name] for name in ("yes_no", "colour")}}
UNLIKE: Mapping[str, tuple[Unlike, ...]] = {
    "calibration": (),
    "tuning": tuning_texts.PROMPTS,
    "second": second_texts.PROMPTS,
}


def write_set(name: str, folder: Path, *, num_cases: int) -> Path:
    """Write a set; returns the prompt file.

    Args:
        name: One of `SETS`.
        folder: Made if it is not there.
        num_cases: Questions of each task; the second set has the two it was fixed with.
    """
    if name == "second":
        return Path(shutil.copytree(SECOND_FOLDER, folder, dirs_exist_ok=True)) / "prompts.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [prompt_line(folder, *found) for found in _questions(name, num_cases)]
    lines += [_unlike_line(folder, item) for item in UNLIKE[name]]
    path = folder / "prompts.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def _questions(name: str, num_cases: int) -> Iterator[tuple[str, str, Case]]:
    """Yield a name, a task and a case with its wording replaced; cases that have no other wording are drawn anew."""
    for task, make in TASKS.items():
        found, draw = 0, 0
        while found < num_cases:
            rng = random.Random(f"prompt set {name}, {task}, {draw}")
            draw += 1
            case = make(rng)
            table = SETS[name]
            if table is None or _reword(case, table, rng):
                yield f"{task}-{found}", task, case
                found += 1


def _reword(case: Case, table: Table, rng: random.Random) -> bool:
    """Replace the question's wording; tell whether there was another."""
    message = next(message for message in case.messages if message["role"] == "user")
    content = message["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    other = reworded(text, table, rng)
    if other is None:
        return False
    if isinstance(content, str):
        message["content"] = other
    else:
        content[-1]["text"] = other
    return True


def prompt_line(folder: Path, name: str, kind: str, case: Case) -> dict[str, Json]:
    """Turn a case with its right answer into a line of a prompt file; its pictures are saved in the file's folder."""
    _save_pictures(folder, name, [item for message in case.messages for item in _items(message["content"])])
    answer = {"role": "assistant", "content": case.expected}
    line: dict[str, Json] = {"name": name, "kind": kind, "messages": [*case.messages, answer]}
    return line if case.tools is None else {**line, "tools": case.tools}


def _items(content: Json) -> list[Json]:
    return content if isinstance(content, list) else []


def _unlike_line(folder: Path, item: Unlike) -> dict[str, Json]:
    content: list[Json] = [{"type": "image", "image": picture} for picture in item.pictures()]
    content.append({"type": "text", "text": item.question})
    _save_pictures(folder, item.name, content)
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": item.answer}]
    return {"name": item.name, "kind": item.kind, "unlike": True, "messages": messages}


def _save_pictures(folder: Path, name: str, content: list[Json]) -> None:
    """Save pictures and frames under names of their own, and put these in their place."""
    number = 0
    for item in content:
        for key in ("image", "video"):
            if item["type"] == key:
                pictures = item[key] if key == "video" else [item[key]]
                paths = []
                for picture in pictures:
                    paths.append(f"{name}-{number}.png")
                    picture.save(folder / paths[-1])
                    number += 1
                item[key] = paths if key == "video" else paths[0]
