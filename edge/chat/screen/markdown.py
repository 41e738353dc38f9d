"""Lay out Markdown while it streams: finished blocks stay, the last block is drawn again as it grows.

In: pieces of Markdown. Out: lines on a terminal that can move its cursor. Code is written as it is, so that it can be
copied; HTML and pictures' links stay text; lines stay lines. Only the last few rows are ever drawn again, so that what
has scrolled away is whole. rich is imported with the first piece.
"""

from __future__ import annotations

import io
import re
import time
from dataclasses import field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from edge.chat.screen.streams import Stream, clean
from edge.chat.screen.wrap import cells
from edge.records import dataclass

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from rich.console import Console

REDRAW_S = 0.06
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_END_BLANKS = re.compile(r" +((?:\x1b\[0m)?)$")
CODE, RESET = "\x1b[35m", "\x1b[0m"


@dataclass(slots=True)
class _Block:
    """The block that may still grow: its text, and the lines of it that are on the screen."""

    text: str = ""
    columns: int = 0
    drawn: list[str] = field(default_factory=list)
    kept: int = 0
    """Lines that are not drawn again: they may have scrolled away."""


class MarkdownStream:
    """One answer on one terminal."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._block = _Block()
        self._has_written = False
        self._last_draw = 0.0
        self._parser = _make_parser()

    def feed(self, text: str) -> None:
        """Take a piece of the answer and show it soon."""
        self._block.text += clean(text)
        if time.monotonic() - self._last_draw >= REDRAW_S:
            self._draw()

    def finish(self) -> None:
        """Show the rest and leave the cursor at the start of a line."""
        self._draw()
        self._end_block()

    def _draw(self) -> None:
        *finished, last = split_blocks(self._block.text, self._parser)
        for text in finished:
            self._block.text = text
            self._draw_block()
            self._end_block()
        self._block.text = last
        self._draw_block()
        self._last_draw = time.monotonic()

    def _draw_block(self) -> None:
        """Draw the block anew below its kept lines."""
        block = self._block
        block.columns = block.columns or self._stream.columns
        lines = render_block(block.text, columns=block.columns, has_styles=self._stream.has_styles, parser=self._parser)
        if lines and self._has_written:
            lines = ["", *lines]  # one blank line between blocks
        if lines == block.drawn:
            return
        out = self._erase(block.drawn[block.kept :]) + "".join(line + "\n" for line in lines[block.kept :])
        self._stream.write_raw(out)
        self._stream.ends_line = True
        block.drawn = lines
        # What might scroll away before the next drawing is kept as it is.
        block.kept = max(block.kept, len(lines) - max(1, self._stream.rows - 3))

    def _erase(self, lines: list[str]) -> str:
        """Move to the start of lines drawn before and clear from there; a narrower terminal has folded them."""
        columns = self._stream.columns
        rows = sum(max(1, -(-cells(_without_styles(line)) // columns)) for line in lines)
        return f"\x1b[{rows}A\r\x1b[J" if rows else ""

    def _end_block(self) -> None:
        self._has_written = self._has_written or bool(self._block.drawn)
        self._block = _Block()


def split_blocks(text: str, parser: MarkdownIt) -> list[str]:
    """Cut Markdown before its last block, which alone may still grow.

    Returns:
        The finished blocks and the last one; joined they are the text.
    """
    starts = [token.map[0] for token in parser.parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    if len(starts) < 2:
        return [text]
    lines = text.splitlines(keepends=True)
    edges = [0, *starts[1:], len(lines)]
    return ["".join(lines[start:end]) for start, end in pairwise(edges)]


def render_block(text: str, *, columns: int, has_styles: bool, parser: MarkdownIt) -> list[str]:
    """Lay out one block in lines, with styles where they are wanted."""
    if not text.strip():
        return []
    tokens = parser.parse(text)
    if tokens and tokens[0].type in ("fence", "code_block") and tokens[0].level == 0:
        body = tokens[0].content.rstrip("\n").split("\n")
        return [f"{CODE}{line}{RESET}" if has_styles and line else line for line in body]
    for token in tokens:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"  # the model's lines are lines
    console, out = _make_console(columns, has_styles=has_styles)
    console.print(_laid_out(tokens))
    lines = [line.rstrip() if not has_styles else _without_end_blanks(line) for line in out.getvalue().splitlines()]
    while lines and not _without_styles(lines[0]).strip():
        lines.pop(0)
    while lines and not _without_styles(lines[-1]).strip():
        lines.pop()
    return lines


def _make_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # HTML is shown, not run; a picture's link stays readable.
    return MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("image")


def _laid_out(tokens: list[Any]) -> Any:  # Any: rich is imported late
    from rich.markdown import Heading, Markdown

    class PlainHeading(Heading):
        def __rich_console__(self, console: Any, options: Any) -> Any:  # Any: rich's protocol
            self.text.justify = "left"
            self.text.stylize("bold")
            yield self.text

    class Plain(Markdown):
        elements: ClassVar = {**Markdown.elements, "heading_open": PlainHeading}

    markdown = Plain("", hyperlinks=False)
    markdown.parsed = tokens
    return markdown


def _make_console(columns: int, *, has_styles: bool) -> tuple[Console, io.StringIO]:
    from rich.console import Console
    from rich.theme import Theme

    # Colours that are readable on light and on dark ground; no background.
    theme = Theme(
        {
            "markdown.code": "magenta",
            "markdown.code_block": "magenta",
            "markdown.link": "underline",
            "markdown.link_url": "underline",
            "markdown.block_quote": "italic",
            "markdown.list": "none",
            "markdown.item.bullet": "bold",
            "markdown.item.number": "bold",
            "markdown.hr": "dim",
            "markdown.table.border": "dim",
            "markdown.table.header": "bold",
        }
    )
    out = io.StringIO()
    console = Console(
        file=out,
        width=columns,
        force_terminal=has_styles,
        color_system="standard" if has_styles else None,
        theme=theme,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    return console, out


def _without_styles(line: str) -> str:
    return _STYLE.sub("", line)


def _without_end_blanks(line: str) -> str:
    """Drop blanks at the end, which rich fills lines with."""
    return _END_BLANKS.sub(r"\1", line)
