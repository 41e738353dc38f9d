"""Every option that a program reads from its command line is heeded by something."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from edge.bench.arguments import BenchOptions
from edge.chat.options import ChatOptions
from edge.server.arguments import ServerLimits, ServerOptions
from tests.imports import ROOT, read

EDGE = ROOT / "edge"


def _read_names(folder: Path, *, but: str) -> set[str]:
    """Return the attributes that the files of a folder read, but those of the file that fills them."""
    return {
        node.attr
        for path in folder.rglob("*.py")
        if path.relative_to(EDGE).as_posix() != but
        for node in ast.walk(read(path))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.parametrize(
    ("options", "folder", "filled_in"),
    [
        (ServerOptions, "server", "server/arguments.py"),
        (ServerLimits, "server", "server/arguments.py"),
        (ChatOptions, "chat", "chat/arguments.py"),
        (BenchOptions, "bench", "bench/arguments.py"),
    ],
)
def test_no_option_is_parsed_and_forgotten(options: type, folder: str, filled_in: str) -> None:
    forgotten = {field.name for field in fields(options)} - _read_names(EDGE / folder, but=filled_in)
    assert not forgotten, f"{options.__name__}: nothing in edge/{folder} reads {forgotten}"


def test_a_name_that_is_only_parsed_is_not_taken_for_read() -> None:
    assert "max_body_mb" not in _read_names(EDGE / "server", but="server/arguments.py")
