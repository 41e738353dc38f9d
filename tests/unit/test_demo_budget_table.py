"""The tables of bits under a budget: rows from records, and no mixing of weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo_model.budget_table import CANDIDATES, PARTS, TASKS, BudgetTable, accuracy_table, kld_table


def test_rows_hold_the_parts_in_the_order_of_the_head() -> None:
    splits = [
        {"is_unlike": unlike, "behind": behind, "part": part, "mean_kld": kld, "mean_kld_stderr": kld / 10}
        for (unlike, behind), kld in zip(PARTS.values(), (0.1, 0.2, 0.3), strict=True)
        for part in ("prompt", "all")
    ]
    table = kld_table(CANDIDATES[:1], {"plain4": {"splits": splits, "num_bytes": 15_717_408}})
    expected = "| `--recipe 4bit --no-search` | 15.72 | 0.1000 ± 0.0100 | 0.2000 ± 0.0200 | 0.3000 ± 0.0300 |"
    assert table.splitlines()[2] == expected


def test_right_answers_stand_under_their_tasks() -> None:
    found = [{"task": task, "right": place, "total": 40} for place, task in enumerate(TASKS)]
    table = accuracy_table(CANDIDATES[:1], {"plain4": found[::-1]})
    assert table.splitlines()[2].startswith("| `--recipe 4bit --no-search` | 0 of 40 | 1 of 40 | 2 of 40 |")


def test_a_folder_of_other_weights_is_not_gone_on_with(tmp_path: Path) -> None:
    original, work = tmp_path / "demo", tmp_path / "work"
    original.mkdir()
    (original / "model.safetensors").write_bytes(b"one")
    BudgetTable(original, work, at_once=1)
    (original / "model.safetensors").write_bytes(b"two")
    with pytest.raises(SystemExit, match="found that on other weights"):
        BudgetTable(original, work, at_once=1)
