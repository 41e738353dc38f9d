from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.calls.sources import open_tools
from edge.errors import EdgeError


def test_files_and_built_in_tools_come_together_and_only_the_calculator_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text('def f(x: int) -> int:\n    """F."""\n    return x\n')
    found = open_tools(["builtin", "mine.py"])
    assert {tool.name for tool in found if not tool.needs_consent} == {"calculator"}
    assert {tool.name for tool in found if tool.needs_consent} == {"read_file", "list_files", "f"}


@pytest.mark.parametrize("names", [["gone.py"], ["builtin", "builtin"]])
def test_what_cannot_be_opened_is_said(names: list[str]) -> None:
    with pytest.raises(EdgeError, match=r"gone\.py|there twice"):
        open_tools(names)
