"""Show how far a long job is: items, gigabytes, speed and time left, in one line that is written over.

Nothing is written where the output is not a terminal.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

from edge.memory import GB

_EVERY_S = 0.2


class Progress:
    """A line on a terminal.

    Args:
        total_bytes: All bytes of the job.
        total_items: All items of the job.
        label: What the items are.
        out: Where to write; stderr if None.
    """

    def __init__(
        self, *, total_bytes: int, total_items: int, label: str = "tensors", out: TextIO | None = None
    ) -> None:
        self._out = sys.stderr if out is None else out
        self._is_shown = self._out.isatty()
        self._total_bytes, self._total_items, self._label = total_bytes, total_items, label
        self._bytes, self._items = 0, 0.0
        self._skipped_bytes = 0
        self._start_s = self._shown_s = time.monotonic()
        self._width = 0

    def advance(self, num_bytes: int, num_items: float) -> None:
        """Count finished work; parts of an item count as fractions."""
        self._bytes += num_bytes
        self._items += num_items
        now_s = time.monotonic()
        if self._is_shown and now_s - self._shown_s >= _EVERY_S:
            self._shown_s = now_s
            self._write(self.describe(now_s))

    def skip(self, num_bytes: int, num_items: float) -> None:
        """Count work that was done before, which says nothing about the speed."""
        self._skipped_bytes += num_bytes
        self.advance(num_bytes, num_items)

    def close(self) -> None:
        """Remove the line."""
        if self._is_shown:
            self._write("")
            self._out.write("\r")
            self._out.flush()

    def describe(self, now_s: float) -> str:
        """Write items, gigabytes, speed and time left as a line."""
        speed = (self._bytes - self._skipped_bytes) / max(now_s - self._start_s, 1e-3)
        line = (
            f"{int(self._items + 1e-6)}/{self._total_items} {self._label}  "
            f"{self._bytes / GB:.2f}/{self._total_bytes / GB:.2f} GB"
        )
        if speed > 0:
            left_s = (self._total_bytes - self._bytes) / speed
            line += f"  {speed / 1e6:.0f} MB/s  {describe_seconds(left_s)} left"
        return line

    def _write(self, line: str) -> None:
        self._out.write("\r" + line.ljust(self._width))
        self._out.flush()
        self._width = len(line)


def describe_seconds(seconds: float) -> str:
    """Write a duration as m:ss or h:mm:ss."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
