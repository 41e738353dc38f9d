from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.chat.sessions.export import export_talk
from edge.errors import EdgeError, UsageError

TALK: list[dict[str, Any]] = [  # Any: JSON
    {"role": "user", "content": [{"type": "image", "image": b"png"}, {"type": "text", "text": "what?"}]},
    {"role": "assistant", "content": "A **cat**.", "reasoning_content": "hm"},
    {"role": "user", "content": "and?"},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "content": "5"},
]


def test_everything_said_is_there(tmp_path: Path) -> None:
    assert export_talk(tmp_path / "a b.md", TALK, title="T", names={}) == 1
    text = (tmp_path / "a b.md").read_text()
    for part in ("# T", "## You", "](a%20b_files/1.png)", "what?", "A **cat**.", "hm", "and?", "`f`", "## Tool", "5"):
        assert part in text
    assert (tmp_path / "a b_files" / "1.png").read_bytes() == b"png"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        export_talk(tmp_path / "a.md", TALK, title="T", names={})
    with pytest.raises(UsageError, match="nothing to export"):
        export_talk(tmp_path / "b.md", [], title="T", names={})
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match="cannot be written"):
        export_talk(tmp_path / "file" / "x.md", TALK, title="T", names={})
