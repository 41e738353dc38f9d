from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from edge.chat.screen.completion import LineCompleter
from tests.unit.chat.parrot import Talking


def completed(talking: Talking, text: str) -> list[str]:
    found = LineCompleter(talking.talk).get_completions(Document(text, len(text)), CompleteEvent())
    return [text[: len(text) + one.start_position] + one.text for one in found]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("/im", ["/image "]),
        ("/IM", ["/image "]),
        ("/qu", ["/quit"]),
        ("/set temp", ["/set temperature"]),
        ("/help /und", ["/help /undo"]),
        ("/model 23", ["/model 235b"]),
        ("hello /im", []),
        ("hello", []),
    ],
)
def test_commands_and_their_arguments_are_completed(talking: Talking, typed: str, expected: list[str]) -> None:
    assert completed(talking, typed) == expected


def test_paths_are_completed_behind_a_mark_and_commands(
    talking: Talking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a cat.png").write_text("")
    monkeypatch.chdir(tmp_path)
    assert completed(talking, f"see @{tmp_path}/a") == [f"see @{tmp_path}/a\\ cat.png"]
    assert completed(talking, "see @a") == ["see @a\\ cat.png"]
    assert completed(talking, "/image a") == ["/image a\\ cat.png"]
    assert completed(talking, f"{tmp_path}/a") == [f"{tmp_path}/a\\ cat.png"]


def test_saved_talks_are_completed(talking: Talking) -> None:
    talking.say("/new garden", "one")
    assert completed(talking, "/load gar") == ["/load garden"]
