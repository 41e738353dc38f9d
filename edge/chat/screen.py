"""Write to the terminal or the pipe: the answer to stdout, everything else to stderr.

Reasoning is dim and apart. On a terminal, control characters of the model's text are dropped, so that an answer
cannot move the cursor or change the title; in a pipe the text stays as it is.
"""

from __future__ import annotations

import re
from typing import TextIO

from edge.events import Usage

DIM, RESET = "\x1b[2m", "\x1b[0m"
# C0 without tab and newline, DEL, C1.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
GB = 1_000_000_000


class Screen:
    """Two text streams and what was last written on them."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._is_dim = False
        self._ends = {id(out): "\n", id(err): "\n"}

    def answer(self, text: str) -> None:
        """Write a piece of the answer."""
        self._end_reasoning()
        self._write(self._out, text)

    def reasoning(self, text: str) -> None:
        """Write a piece of the thought, dim where the terminal can."""
        if not self._is_dim and self._err.isatty():
            self._err.write(DIM)
            self._is_dim = True
        self._write(self._err, text)
        self._has_reasoning = True

    def note(self, line: str) -> None:
        """Write a line about the work, dim on a terminal."""
        self.end_line()
        is_terminal = self._err.isatty()
        self._err.write(f"{DIM}{line}{RESET}\n" if is_terminal else f"{line}\n")
        self._err.flush()

    def error(self, message: str) -> None:
        """Write a failure in one line."""
        self.end_line()
        self._err.write("edge.chat: " + " ".join(message.split()) + "\n")
        self._err.flush()

    def end_line(self) -> None:
        """End the lines that were begun."""
        self._end_reasoning()
        if self._ends[id(self._out)] != "\n":
            self._write(self._out, "\n")

    _has_reasoning = False

    def _end_reasoning(self) -> None:
        """Leave dim, and one blank line between thought and answer."""
        if self._is_dim:
            self._err.write(RESET)
            self._is_dim = False
        if self._has_reasoning:
            self._has_reasoning = False
            self._write(self._err, "\n\n" if self._ends[id(self._err)] != "\n" else "\n")

    def _write(self, stream: TextIO, text: str) -> None:
        if stream.isatty():
            text = _CONTROL.sub("", text)
        if text:
            stream.write(text)
            stream.flush()
            self._ends[id(stream)] = text[-1]


def describe_usage(usage: Usage) -> str:
    """Say in one line what a request cost."""
    computed = usage.prompt_tokens - usage.cached_tokens
    kept = f" ({usage.cached_tokens} kept)" if usage.cached_tokens else ""
    vision = f" · vision {usage.vision_s:.2f} s" if usage.vision_runs else ""
    return (
        f"prompt {usage.prompt_tokens} tokens{kept}{vision}"
        f" · prefill {computed} in {usage.prefill_s:.2f} s, {usage.prefill_tokens_per_s:.0f} tokens/s"
        f" · answer {usage.completion_tokens} tokens, {usage.decode_tokens_per_s:.1f} tokens/s"
        f" · first token {usage.first_token_s:.2f} s · peak {usage.peak_bytes / GB:.2f} GB"
    )
