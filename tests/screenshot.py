"""Make docs/images/chat.png again: `python -m tests.screenshot [OUT.png]`.

A real talk with the demo checkpoint on a pseudo-terminal; what its screen holds in the end is drawn letter by letter.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyte
import pyte.graphics
from PIL import Image, ImageDraw, ImageFont

from tests.imports import ROOT
from tests.system.terminal import Terminal

OUT = ROOT / "docs" / "images" / "chat.png"
FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf")
COLUMNS, SIZE, LINE, MARGIN = 92, 15, 20, 16
PAPER, INK, FAINT, TYPED = (26, 27, 32), (232, 232, 236), (138, 138, 146), (140, 190, 240)
FAINT_MARK = "+blink"  # the screen knows no faint text, and nothing here blinks
QUESTIONS = (
    "examples/images/scene.png What is in this picture?",
    "How many circles are there?",
    "/thought",
    "examples/images/sign.png",
    "What does the sign say?",
)
Line = Mapping[int, pyte.screens.Char]


def talk() -> list[Line]:
    """Hold the talk, and return the lines of the screen with what has scrolled away above it."""
    pyte.graphics.TEXT[2] = FAINT_MARK
    with tempfile.TemporaryDirectory() as home:
        more = {"HOME": home}
        with Terminal([], data=Path(home, ".local/share/qwen3vl-edge"), columns=COLUMNS, more=more) as terminal:
            terminal.wait_for_line()
            for question in QUESTIONS:
                terminal.ask(question)
            shown = [terminal.screen.buffer[row] for row in range(terminal.screen.cursor.y + 1)]
            return [*terminal.screen.history.top, *shown]


def draw(lines: Iterable[Line], *, columns: int = COLUMNS) -> Image.Image:
    """Draw lines of a screen, light on dark; what was typed stands out."""
    font = ImageFont.truetype(FONT, SIZE)
    width, rows = font.getlength("x"), list(lines)
    picture = Image.new("RGB", (round(columns * width) + 2 * MARGIN, len(rows) * LINE + 2 * MARGIN), PAPER)
    pen = ImageDraw.Draw(picture)
    for row, line in enumerate(rows):
        text = "".join(line[column].data for column in range(columns))
        is_typed = text.startswith(">") or (text.startswith("[") and "] > " in text)
        for column, letter in enumerate(text):
            colour = TYPED if is_typed else FAINT if line[column].blink else INK
            pen.text((MARGIN + column * width, MARGIN + row * LINE), letter, font=font, fill=colour)
    return picture


def main() -> int:
    """Talk, draw, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "out", metavar="OUT.png", nargs="?", type=Path, default=OUT, help="(default: docs/images/chat.png)"
    )
    out = parser.parse_args().out.absolute()
    os.chdir(ROOT)
    draw(talk()).quantize(32).save(out, optimize=True)
    print(f"{out}: {out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
