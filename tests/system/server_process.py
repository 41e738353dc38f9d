"""Run `python -m edge.server` as a user's shell would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_S = 120


class ServerProcess:
    """A server in a process of its own.

    Attributes:
        url: Where it is.
        log: Its lines on stderr so far.
    """

    def __init__(
        self, arguments: Sequence[str | Path] = (), *, extra_environment: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge.server", "--port", "0", "--model", "demo", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "error", "HF_HUB_OFFLINE": "1", **(extra_environment or {})},
        )
        self.log: list[str] = []
        self._is_ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        is_ready = self._is_ready.wait(START_S)
        found = re.search(r"http://\S+", "".join(self.log))
        if not is_ready or not found:
            self.process.kill()
            raise AssertionError(f"no server: {''.join(self.log)}")
        self.url = found.group()

    def stop(self, *, timeout_s: float = 30) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line)
                if "ready" in line:
                    self._is_ready.set()
        self._is_ready.set()
