"""The three prompt sets share nothing, and the second one is what it was when it was fixed."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image

from examples.demo_model.checks import Case
from examples.demo_model.prompt_sets.wordings import SECOND, TUNING, reworded
from examples.demo_model.prompt_sets.writing import SETS, prompt_line, write_set

# Of the second set, fixed before the first budget was tuned.
FIXED = "c489f586740c3e225d9a6b77d77b90a3acce98c67338dbb689abe6338c3fd33a"


def is_blank(path: Path) -> bool:
    """Whether a picture has one colour alone, as frames before anything appears."""
    return len(Image.open(path).convert("RGB").getcolors(10**6) or []) == 1


@lru_cache(maxsize=3)
def written(name: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """The file's text, its questions, and the digests of its pictures; two cases a task."""
    with TemporaryDirectory() as folder:
        path = write_set(name, Path(folder), num_cases=2)
        text = path.read_text(encoding="utf-8")
        pictures = frozenset(
            hashlib.sha256(file.read_bytes()).hexdigest() for file in path.parent.glob("*.png") if not is_blank(file)
        )
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    asked = [message["content"] for line in lines for message in line["messages"] if message["role"] == "user"]
    return text, frozenset(one if isinstance(one, str) else one[-1]["text"] for one in asked), pictures


@pytest.mark.parametrize(
    ("first", "other"), [("calibration", "tuning"), ("calibration", "second"), ("tuning", "second")]
)
def test_two_sets_share_no_question_and_no_picture(first: str, other: str) -> None:
    assert not written(first)[1] & written(other)[1]
    assert not written(first)[2] & written(other)[2]


def test_no_wording_is_in_both_tables() -> None:
    tables = [{other for _, others in table for other in others} for table in (TUNING, SECOND)]
    assert not tables[0] & tables[1]


def test_the_second_set_is_as_it_was_fixed() -> None:
    assert hashlib.sha256(written("second")[0].encode()).hexdigest() == FIXED


def test_only_the_sets_for_judging_hold_unlike_prompts() -> None:
    unlike = {name: sum('"unlike": true' in line for line in written(name)[0].splitlines()) for name in SETS}
    assert unlike == {"calibration": 0, "tuning": 12, "second": 21}


def test_a_question_keeps_what_it_asks_about() -> None:
    from random import Random

    assert "red circle" in (reworded("Where is the red circle?", SECOND, Random(1)) or "")
    assert reworded("A question of nobody.", SECOND, Random(1)) is None


def test_pictures_of_two_messages_of_a_case_get_names_of_their_own(tmp_path: Path) -> None:
    def asked(colour: str) -> dict[str, Any]:
        return {"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (8, 8), colour)}]}

    messages = [asked("red"), {"role": "assistant", "content": "Red."}, asked("blue")]
    case = Case(messages, None, "Blue.", check="Blue.".__eq__)
    line = prompt_line(tmp_path, "talk-0", "talk", case)
    names = [item["image"] for message in line["messages"][::2] for item in message["content"]]
    assert names == ["talk-0-0.png", "talk-0-1.png"]
    assert [Image.open(tmp_path / name).getpixel((0, 0)) for name in names] == [(255, 0, 0), (0, 0, 255)]
