"""Calibrate and convert slices of the 30B at real widths; prints peak memory and seconds of each.

Run: `python -m tests.parity.calibrate_slice WORK [--layers 2 4] [--prompts 8]`. Every program is a process of its own,
so that its peak is its own. The weights are random: only sizes matter here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from convert.calibration.prompts import builtin_prompts
from tests.parity.verify_slice import REAL_30B, cut_slice, write_slice


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--layers", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--prompts", type=int, default=8, help="text prompts of the built-in ones")
    parser.add_argument("--no-convert", action="store_true", help="calibrate only: a third of the time")
    arguments = parser.parse_args()
    work: Path = arguments.work
    full = work / "full"
    if not full.exists():
        write_slice(full, REAL_30B, max(arguments.layers))
    prompts = work / "prompts.jsonl"
    texts = [item for item in builtin_prompts() if item["kind"] != "image"][: arguments.prompts]
    prompts.write_text("".join(json.dumps(item) + "\n" for item in texts), encoding="utf-8")
    for count in arguments.layers:
        folder = work / f"slice-{count}"
        if not folder.exists():
            cut_slice(full, folder, REAL_30B, count)
        calibration, out = work / f"{count}.calib", work / f"out-{count}"
        _measure(f"calibrate, {count} layers", ["calibrate", folder, calibration, "--prompts", prompts])
        if arguments.no_convert:
            continue
        _measure(f"mlx, {count} layers", ["mlx", folder, out, "--recipe", "4bit", "--calibration", calibration])


def _measure(name: str, words: list[object]) -> None:
    start_s = time.monotonic()
    command = [sys.executable, "-m", "convert", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, f"{name} failed"
    cpu_s = used.ru_utime + used.ru_stime
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"{name}: peak {peak / 1e9:.2f} GB, {time.monotonic() - start_s:.0f} s, {cpu_s:.0f} processor s", flush=True)


if __name__ == "__main__":
    main()
