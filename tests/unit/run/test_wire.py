"""Wiring: only when asked for, below what Metal recommends, and never where there is no Metal."""

from __future__ import annotations

import ast
from pathlib import Path

import mlx.core as mx
import pytest

from edge.errors import RequestError
from edge.run.wire import wire

EDGE = Path(__file__).resolve().parents[3] / "edge"


@pytest.mark.parametrize(("asked", "limit"), [(5_000, 5_000), (50_000, 9_000)])
def test_a_little_less_than_recommended_is_wired_at_most(
    asked: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(mx.metal, "is_available", lambda: True)
    monkeypatch.setattr(mx, "device_info", lambda: {"max_recommended_working_set_size": 10_000})
    monkeypatch.setattr(mx, "set_wired_limit", given.append)
    assert wire(asked) == limit
    assert given == [limit]


def test_without_metal_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx.metal, "is_available", lambda: False)
    with pytest.raises(RequestError, match="wire: expected a Mac") as error:
        wire(1)
    assert error.value.field == "wire"


def test_nothing_else_sets_the_limit_and_the_server_knows_no_wiring() -> None:
    def names(path: Path) -> set[str]:
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        return {getattr(node, "attr", getattr(node, "arg", None)) or "" for node in tree}

    setting = [path.name for path in EDGE.rglob("*.py") if "set_wired_limit" in names(path)]
    assert setting == ["wire.py"]
    assert not [path.name for path in (EDGE / "server").rglob("*.py") if "wire" in names(path)]
