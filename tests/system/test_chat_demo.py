"""The embedded demo checkpoint, as a new user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.chat_process import run_chat

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "images" / "scene.png"
ASK = ("--temperature", "0", "--max-tokens", "12", "What is in the picture?")


def test_without_a_model_the_demo_answers_and_names_the_real_one(picture: Path, tmp_path: Path) -> None:
    done = run_chat(["--image", picture, *ASK], data=tmp_path)
    assert done.code == 0
    notice = done.err.splitlines()[0]
    assert "demo checkpoint" in notice
    assert "python -m edge.chat --model 8b" in notice


def test_the_demo_needs_no_network_and_writes_nothing(picture: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert run_chat(["--image", picture, *ASK], data=tmp_path / "data").code == 0
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("bad", ["gone.png", "."])
def test_a_bad_picture_is_one_line_with_the_demo_too(bad: str, tmp_path: Path) -> None:
    done = run_chat(["--image", bad, *ASK], data=tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    "thing",
    [
        "red circle at the top left",
        "yellow star at the top right",
        "blue square in the center",
        "green triangle at the bottom left",
    ],
)
def test_the_readme_command_describes_the_sample_picture_right(thing: str, sample_answer: str) -> None:
    assert thing in sample_answer


@pytest.fixture(scope="module")
def sample_answer(tmp_path_factory: pytest.TempPathFactory) -> str:
    done = run_chat(["--image", SAMPLE, "What is in this picture?"], data=tmp_path_factory.mktemp("data"))
    assert done.code == 0
    return done.out
