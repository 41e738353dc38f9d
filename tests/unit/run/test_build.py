"""The loop with replayed pieces, as on a GPU: rows that join, leave and come late are their single runs."""

from __future__ import annotations

import pytest

import edge.run.build as build
from edge.model.qwen3vl import Qwen3VL
from edge.run.replay import ShortForwards
from tests.unit.run.engines import Outlet, drain, make_loop_of_tiny
from tests.unit.run.test_rows import TALK
from tests.unit.run.tiny import picture_prompt, take


@pytest.mark.long  # MLX's compiler for CPUs runs a C++ compiler
def test_rows_of_replayed_pieces_get_the_tokens_of_their_single_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [take(prompt, 24) for prompt in (TALK, picture_prompt(), TALK)]
    made: list[ShortForwards] = []

    def replaying(model: Qwen3VL) -> ShortForwards:
        made.append(ShortForwards(model))
        return made[-1]

    monkeypatch.setattr(build, "_replaying", replaying)
    loop = make_loop_of_tiny()
    outlets = [Outlet.of(loop, prompt, max_tokens=24) for prompt in (TALK, picture_prompt())]
    for _ in range(4):
        loop.turn()
    outlets.append(Outlet.of(loop, TALK, max_tokens=24))
    drain(loop)
    assert [outlet.tokens for outlet in outlets] == expected
    assert len(made) == 1
