"""The reference's peak memory does not grow with the number of layers, and stays below what was said before.

At the real widths of the 30B (`QWEN3VL_REAL_WIDTHS=1`, 6.4 GB of disk): see the numbers in the module's last test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parity.verify_folders import write_prompts
from tests.parity.verify_slice import REAL_30B, SMALL, cut_slice, write_slice
from tests.unit.checkpoint.checkpoints import Json

ROOT = Path(__file__).resolve().parents[2]


def peak_bytes(folder: Path, dtype: str, prompts: str) -> tuple[int, int]:
    """Run the reference in a process of its own; return planned and measured peak."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.parity.verify_slice", str(folder), dtype, prompts, str(folder / "work")],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found["planned"], found["peak"]


def peaks(folder: Path, widths: Json, layers: tuple[int, int], prompts: str) -> list[tuple[int, int]]:
    whole = write_slice(folder / "whole", widths, layers[1])
    cut = cut_slice(whole, folder / "cut", widths, layers[0])
    return [peak_bytes(checkpoint, "bfloat16", prompts) for checkpoint in (cut, whole)]


@pytest.mark.slow
def test_peak_memory_is_flat_in_the_number_of_layers(tmp_path: Path) -> None:
    (cut_plan, cut), (whole_plan, whole) = peaks(tmp_path, SMALL, (2, 8), str(write_prompts(tmp_path)))
    assert whole <= 1.1 * cut
    assert cut <= cut_plan
    assert whole <= whole_plan


@pytest.mark.slow
@pytest.mark.skipif("QWEN3VL_REAL_WIDTHS" not in os.environ, reason="writes 6.4 GB; set QWEN3VL_REAL_WIDTHS=1")
def test_peak_memory_at_real_widths_is_below_4_gb(tmp_path: Path) -> None:
    (cut_plan, cut), (whole_plan, whole) = peaks(tmp_path, REAL_30B, (2, 4), "builtin")
    assert whole <= 1.1 * cut
    assert max(cut, whole) < 4e9
    assert cut <= cut_plan
    assert whole <= whole_plan
