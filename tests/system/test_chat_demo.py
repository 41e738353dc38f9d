"""The embedded demo checkpoint, as a new user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.loading import DEMO_FOLDER
from tests.system.chat_process import run_chat

pytestmark = pytest.mark.skipif(not (DEMO_FOLDER / "config.json").exists(), reason="the demo checkpoint is in training")
ASK = ("--temperature", "0", "--max-tokens", "12", "What is in the picture?")


def test_without_a_model_the_demo_answers_and_names_the_real_one(picture: Path, tmp_path: Path) -> None:
    done = run_chat(["--image", picture, *ASK], data=tmp_path)
    assert done.code == 0
    notice = done.err.splitlines()[0]
    assert "demo checkpoint" in notice
    assert "python -m edge.chat --model Qwen/" in notice


def test_the_demo_needs_no_network_and_writes_nothing(picture: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert run_chat(["--image", picture, *ASK], data=tmp_path / "data").code == 0
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("bad", ["gone.png", "."])
def test_a_bad_picture_is_one_line_with_the_demo_too(bad: str, tmp_path: Path) -> None:
    done = run_chat(["--image", bad, *ASK], data=tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
