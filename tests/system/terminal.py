"""`python -m edge.chat` on a pseudo-terminal whose screen can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import resource
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

from tests.system.chat_process import environment

PATIENCE_S = float(os.environ.get("EDGE_TEST_PATIENCE_S", "90"))
ROWS = 40
LINE_BEGINS = "\x1b[?2004h"
"""Bracketed paste is switched on when a line begins to be read."""


class Terminal:
    """A program on a terminal, what it has written, and what its screen shows."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        data: Path,
        columns: int = 80,
        rows: int = ROWS,
        more: Mapping[str, str] | None = None,
        answers: Mapping[str, str] | None = None,
        most_file_bytes: int | None = None,
    ) -> None:
        """Start the program.

        Args:
            arguments: Of `python -m edge.chat`.
            data: Where it keeps its data.
            columns: Width of the terminal.
            rows: Height of the terminal.
            more: Further environment.
            answers: What the terminal answers when it is asked this; each question is answered once.
            most_file_bytes: No file of the program may become larger, as on a full disk.
        """
        self._own, other = pty.openpty()
        self._is_dumb = (more or {}).get("TERM") == "dumb"
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream = pyte.ByteStream(self.screen)
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            # A full disk would leave cut byte code to every later process: Python 3.11 does not notice short writes.
            [sys.executable, *([] if most_file_bytes is None else ["-B"]), "-m", "edge.chat", *map(str, arguments)],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**environment(data), "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **(more or {})},
            start_new_session=True,
            preexec_fn=lambda: _take_terminal(most_file_bytes),
        )
        os.close(other)
        self.written = ""
        self._seen = 0
        self._answers = dict(answers or {})

    @property
    def text(self) -> str:
        """What the screen shows, with what has scrolled away above it."""
        columns = self.screen.columns
        old = ["".join(line[x].data for x in range(columns)).rstrip() for line in self.screen.history.top]
        return "\n".join([*old, *(line.rstrip() for line in self.screen.display)])

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, as a user who drags the window."""
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def wait_for(self, text: str) -> None:
        """Read until some new text has been written."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.written[self._seen :]:
            assert time.monotonic() < end, f"waited for {text!r}, saw {self.written[self._seen :]!r}\n{self.text}"
            assert self._read(1) or self.process.poll() is None, f"waited for {text!r}, it ended\n{self.text}"
        self._seen = self.written.index(text, self._seen) + len(text)

    def wait_for_length(self, num_characters: int) -> None:
        """Read until so much new text has appeared."""
        target = len(self.written) + num_characters
        end = time.monotonic() + PATIENCE_S
        while len(self.written) < target:
            assert time.monotonic() < end, f"silent after {self.written!r}"
            self._read(1)

    def send(self, text: str | bytes) -> None:
        """Type."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self._own, data[:1000]) :]
            self._read(0)

    def wait_for_line(self) -> None:
        """Wait until the program reads a line."""
        if not self._is_dumb:
            self.wait_for(LINE_BEGINS)
            return
        end = time.monotonic() + PATIENCE_S
        while not re.fullmatch(r"(\[.*\] )?>", self.screen.display[self.screen.cursor.y].strip()):
            assert time.monotonic() < end, f"waited for a line\n{self.text}"
            self._read(1)

    def ask(self, line: str) -> None:
        """Type a line, send it, and wait until the next one is read."""
        self._seen = len(self.written)
        self.send(line + "\r")
        if self._is_dumb:
            self.wait_for("\n")
        self.wait_for_line()

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._own)
        self._own = -1

    def exit_code(self) -> int:
        """Wait for the end."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < end:
            if self._own >= 0:
                self._read(0.2)
        return self.process.wait(timeout=1)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self._own >= 0:
            os.close(self._own)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._own], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._own, 65536)
        except OSError:  # the other side is closed
            return False
        self.written += data.decode(errors="replace")
        for question in [question for question in self._answers if question in self.written]:
            os.write(self._own, self._answers.pop(question).encode())
        self._stream.feed(data)
        return bool(data)


def _take_terminal(most_file_bytes: int | None) -> None:
    """Make the pseudo-terminal the controlling one, so that Ctrl-C reaches the program."""
    if most_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, most_file_bytes))
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
