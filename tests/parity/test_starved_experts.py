"""No starved expert of 128 loses more than with a search, on prompts unlike the calibration's, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.calibration import experts
from tests.parity.starved_experts import ALWAYS_THE_SAME, NEVER, NUM_EXPERTS, Bench, Line


def worse(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.ratio > 1]


@pytest.mark.long
@pytest.mark.parametrize("has_pictures", [True, False])
def test_no_expert_loses_more_than_with_a_search(tmp_path: Path, has_pictures: bool) -> None:
    bench = Bench(tmp_path, has_pictures=has_pictures)
    name = f"language_model.model.layers.{bench.layer}.mlp.switch_mlp.down_proj.weight"
    counts = [bench.calibration.tokens(name, expert) for expert in range(NUM_EXPERTS)]
    assert counts[NEVER] == 0
    assert counts[ALWAYS_THE_SAME] == bench.num_prompts
    assert sum(count < 10 for count in counts) >= 10
    assert worse(list(bench.lines(range(NUM_EXPERTS)))) == []


@pytest.mark.long
def test_moments_as_they_were_seen_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experts, "levelled", lambda matrix, *_, **__: matrix)
    bench = Bench(tmp_path, has_pictures=False)
    assert len(worse(list(bench.lines(range(1, NUM_EXPERTS, 4))))) >= 3
