"""Show on a terminal that something is going on before the first token: loading, pictures, the prompt.

One line on stderr, drawn again in place and cleared when something else is written. Quick work shows nothing; a pipe
and a dumb terminal get nothing.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from edge.chat.screen.streams import CLEAR_LINE, DIM, Stream
from edge.events import ProgressEvent

PATIENCE_S = 0.4
REDRAW_S = 0.1
BAR_CELLS = 20
STAGES = {
    "queued": "waiting for {total} before this",
    "vision": "looking at the pictures",
    "prefill": "reading the prompt",
}


class ProgressLine:
    """The line; nothing is on the screen until `PATIENCE_S` have passed."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._last_draw = 0.0
        self._is_drawn = False

    def restart(self) -> None:
        """Begin to wait anew."""
        self._started = time.monotonic()

    def show(self, event: ProgressEvent) -> None:
        """Show how far the work has come."""
        share = event.done / event.total if event.total else 1.0
        text = STAGES[event.stage].format(total=event.total)
        if event.stage == "queued":
            self.draw(text)
            return
        full = round(share * BAR_CELLS)
        unit = f"{event.done}/{event.total} tokens" if event.stage == "prefill" else f"{share:.0%}"
        self.draw(f"{text} [{'#' * full}{'.' * (BAR_CELLS - full)}] {unit}")

    def draw(self, text: str) -> None:
        """Draw a line in the place of the last one."""
        now = time.monotonic()
        if not self._stream.can_move or now - self._started < PATIENCE_S or now - self._last_draw < REDRAW_S:
            return
        self._last_draw = now
        self._is_drawn = True
        self._stream.write_raw(CLEAR_LINE + self._stream.styled(text[: self._stream.columns - 1], DIM))

    def clear(self) -> None:
        """Take the line away."""
        if self._is_drawn:
            self._is_drawn = False
            self._stream.write_raw(CLEAR_LINE)


class Waiting:
    """Show a line with the seconds that pass while a `with` block works on this thread."""

    def __init__(self, stream: Stream, text: str) -> None:
        self._line = ProgressLine(stream)
        self._text = text
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._is_shown = stream.can_move

    def __enter__(self) -> Self:
        if self._is_shown:
            self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._has_ended.set()
        if self._is_shown:
            self._thread.join()
        self._line.clear()

    def _run(self) -> None:
        started = time.monotonic()
        self._has_ended.wait(PATIENCE_S)
        while not self._has_ended.is_set():
            self._line.draw(f"{self._text} ... {time.monotonic() - started:.0f} s")
            self._has_ended.wait(REDRAW_S)
