"""Killed at ten random moments, a calibration and a conversion with it end with the bytes of runs left alone."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convert.calibration.prompts import builtin_prompts
from convert.final import partial_path
from tests.unit.convert.calibration.calibrating import hashes_of

DEMO = "edge/demo"
KILLS = 10


def run(words: list[str], *, kill_after_s: float | None = None) -> int:
    """Run `python -m convert`; kill it after a while, if asked."""
    process = subprocess.Popen(
        [sys.executable, "-m", "convert", *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode


def killed_ten_times(words: list[str], out: Path) -> None:
    """Kill a command at random moments of what its whole run takes, then let it end."""
    start_s = time.monotonic()
    assert run(words) == 0
    whole_s = time.monotonic() - start_s
    expected = hashes_of(out)
    shutil.rmtree(out)
    moments, kills, tries = random.Random(3), 0, 0
    while kills < KILLS and tries < 4 * KILLS:
        tries += 1
        if run(words, kill_after_s=moments.uniform(0.2, 1.0) * whole_s) == -signal.SIGKILL:
            kills += 1
        elif out.exists():
            shutil.rmtree(out)  # it had little left to do
    run(words)
    assert kills == KILLS
    assert hashes_of(out) == expected
    assert not partial_path(out).exists()


@pytest.mark.long
def test_ten_kills_at_random_moments_give_the_same_bytes(tmp_path: Path) -> None:
    prompts, calibration = tmp_path / "prompts.jsonl", tmp_path / "demo.calib"
    texts = [item for item in builtin_prompts() if item["kind"] in ("text", "code", "tools")][:8]
    prompts.write_text("".join(f"{json.dumps(item)}\n" for item in texts), encoding="utf-8")
    killed_ten_times(["calibrate", DEMO, str(calibration), "--prompts", str(prompts)], calibration)
    out = tmp_path / "out"
    killed_ten_times(["mlx", DEMO, str(out), "--recipe", "4bit", "--calibration", str(calibration)], out)
