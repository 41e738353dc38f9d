from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.chat.parrot import Talking


def test_tools_are_added_listed_and_switched(talking: Talking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text('def f(x: int) -> int:\n    """Do f."""\n    return x\n')
    assert "no tools" in talking.say("/tools")
    assert "calculator, read_file, list_files" in talking.say("/tools builtin")
    assert "from now on: f" in talking.say("/tools mine.py")
    listed = talking.say("/tools f off", "/tools")
    assert "off           Do f. (mine.py)" in listed
    talking.say("one")
    tools = talking.last().tools
    assert tools is not None
    assert [tool["function"]["name"] for tool in tools] == ["calculator", "read_file", "list_files"]
    talking.say("/tools off", "two")
    assert talking.last().tools is None
    talking.say("/tools on", "three")
    assert len(talking.last().tools or ()) == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [("/tools g off", "no such tool"), ("/tools f g h", "expected [NAME] on"), ("/tools gone.py", "found none")],
)
def test_what_is_not_there_is_said(talking: Talking, line: str, message: str) -> None:
    assert message in talking.say("/tools builtin", line)


def test_switching_before_there_are_tools_says_how_to_add_some(talking: Talking) -> None:
    assert "/tools builtin" in talking.say("/tools off")
