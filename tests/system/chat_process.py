"""Run `python -m edge.chat` as a user's shell would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 120


@dataclass(frozen=True)
class Finished:
    """How the program ended."""

    code: int
    out: str
    err: str


def environment(data: Path) -> dict[str, str]:
    return {**os.environ, "EDGE_DATA": str(data), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error", "EDGE_DEBUG": ""}


def run_chat(
    arguments: Sequence[str | Path], *, data: Path, stdin: str | Path = "", more: Mapping[str, str] | None = None
) -> Finished:
    """Run to the end with stdin from a pipe; a path gives the file's bytes."""
    done = subprocess.run(
        [sys.executable, "-m", "edge.chat", *map(str, arguments)],
        input=stdin.read_bytes() if isinstance(stdin, Path) else stdin.encode(),
        capture_output=True,
        timeout=TIMEOUT_S,
        env={**environment(data), **(more or {})},
        check=False,
    )
    encoding = "latin-1" if (more or {}).get("PYTHONIOENCODING") == "latin-1" else "utf-8"
    return Finished(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))


def start_chat(arguments: Sequence[str | Path], *, data: Path) -> subprocess.Popen[bytes]:
    """Start and leave it running."""
    return subprocess.Popen(
        [sys.executable, "-m", "edge.chat", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(data),
    )
