from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import EdgeError, UsageError
from edge.events import ToolCall
from edge.tools.function_file import load_functions
from tests.unit.tools.boxes import box_of

FILE = '''
from dataclasses import dataclass
from os.path import join

@dataclass
class Thing:
    size: int

def double(number: int) -> int:
    """Double a number."""
    return _twice(number)

def _twice(number):
    return 2 * Thing(number).size
'''


def write(tmp_path: Path, text: str, name: str = "mine.py") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_public_functions_of_a_file_become_tools(tmp_path: Path) -> None:
    tools = load_functions(write(tmp_path, FILE))
    assert [(tool.name, tool.description, tool.origin) for tool in tools] == [("double", "Double a number.", "mine.py")]
    assert box_of(tools).run(ToolCall(0, "1", "double", '{"number": 4}')).text == "8"


def test_all_decides_when_it_is_there(tmp_path: Path) -> None:
    text = FILE + "\ndef other() -> str:\n    return ''\n__all__ = ['other']\n"
    assert [tool.name for tool in load_functions(write(tmp_path, text))] == ["other"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("x = 1", "at least one function"), ("1 / 0", "ZeroDivisionError"), ("def f(:", "SyntaxError")],
)
def test_a_file_without_tools_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_functions(write(tmp_path, text, "broken.py"))


def test_a_file_that_is_not_there_or_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found none"):
        load_functions(tmp_path / "none.py")
    with pytest.raises(UsageError, match="ends in"):
        load_functions(write(tmp_path, "x", "tools.txt"))


def test_a_function_without_types_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="f, parameter x: expected a type"):
        load_functions(write(tmp_path, "def f(x):\n    return x\n", "untyped.py"))
