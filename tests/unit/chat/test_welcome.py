from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.models.found import FoundModel
from edge.chat.welcome import find_samples, greet, model_lines, shown_path
from edge.tools.tool import function_tool
from tests.unit.chat.parrot import Talking

GB = 1_000_000_000


def test_the_questions_to_try_have_pictures_that_are_there() -> None:
    samples = find_samples()
    assert samples is not None
    assert len(samples.questions) == 3
    assert all(path.is_file() for _, paths in samples.questions for path in paths)


def test_models_that_fit_are_named_and_the_others_with_what_they_need() -> None:
    found = [FoundModel("small", Path("/s"), 3 * GB), FoundModel("large", Path("/l"), 30 * GB)]
    lines = model_lines(found, free=7 * GB)
    assert "  small  3.0 GB" in lines
    assert any("large 30.0 GB" in line and "7.0 GB that are free" in line for line in lines)
    assert "2b 1.8 GB, 4b 3.1 GB, 8b 5.8 GB" in lines[-1]
    assert "2b needs 1.8 GB" in model_lines([], free=GB)[-1]


def test_the_first_screen_says_where_talks_are_saved(talking: Talking) -> None:
    greet(talking.talk)
    text = talking.err.getvalue()
    for part in ("demo checkpoint", "Try:", "What is in this picture?", "Talks are saved in", "--no-save", "/help"):
        assert part in text


@pytest.mark.parametrize(("agrees", "said"), [(False, "each call is asked about"), (True, "run without a question")])
def test_the_first_screen_names_the_tools(talking: Talking, agrees: bool, said: str) -> None:
    def double(number: int) -> int:
        """Double."""
        return 2 * number

    talking.talk.change(agrees=agrees)
    talking.talk.add_tools([function_tool(double, origin="here")])
    greet(talking.talk)
    assert f"Tools: double ({said}; /tools)." in talking.err.getvalue().replace("they ", "")


def test_paths_can_be_typed_again() -> None:
    assert shown_path(Path("/a b/c.png")) == "/a\\ b/c.png"
    assert shown_path(Path.cwd() / "c.png") == "./c.png"
