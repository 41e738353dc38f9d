"""Run `python -m convert mlx` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from convert.final import JOURNAL, partial_path


def command(*words: str | Path, name: str = "mlx") -> list[str]:
    return [sys.executable, "-m", "convert", name, *map(str, words)]


def run_gguf(*words: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return run_convert(*words, environment=environment, name="gguf")


def run_convert(
    *words: str | Path,
    preexec: Callable[[], object] | None = None,
    environment: Mapping[str, str] | None = None,
    name: str = "mlx",
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words, name=name),
        env={**os.environ, "HF_HUB_OFFLINE": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=preexec,
    )


def start_convert(*words: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*words),
        env={**os.environ, "HF_HUB_OFFLINE": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_pieces(process: subprocess.Popen[str], out: Path, num_pieces: int) -> None:
    """Wait until the journal holds this many finished pieces, or the process has ended."""
    journal = partial_path(out) / JOURNAL
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > num_pieces:
            return
        time.sleep(0.001)
