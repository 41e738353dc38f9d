"""Pictures of a question inside the terminal, by the bytes that the terminal gets."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.system.terminal import Terminal

ITERM2 = re.compile(r"\x1b\]1337;File=inline=1;size=\d+;width=(\d+);preserveAspectRatio=1:([^\x07]+)\x07")
CELLS = {"\x1b[16t": "\x1b[6;20;10t"}
SIXEL = {"\x1b[c": "\x1b[?62;4;22c", **CELLS}
KITTY = {"\x1b[c": "\x1b[?62;22c", "a=q": "\x1b_Gi=1;OK\x1b\\", **CELLS}
FEW = ("--temperature", "0", "--max-tokens", "4")


def red(folder: Path, *, name: str = "red.png") -> Path:
    Image.new("RGB", (96, 64), (220, 20, 20)).save(folder / name)
    return folder / name


def test_a_dropped_picture_is_shown_in_small_before_its_question_and_switched_off_on_request(
    tiny_folder: Path, tmp_path: Path
) -> None:
    path = red(tmp_path)
    more = {"TERM_PROGRAM": "iTerm.app"}
    with Terminal(["--model", tiny_folder, *FEW], data=tmp_path / "data", more=more) as terminal:
        terminal.wait_for_line()
        terminal.ask(str(path))
        ((columns, data),) = ITERM2.findall(terminal.written)
        with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
            assert (int(columns), shown.size) == (30, (96, 64))
            assert shown.convert("RGB").getpixel((9, 9)) == (220, 20, 20)
        terminal.ask("What is it?")
        assert len(ITERM2.findall(terminal.written)) == 1
        terminal.ask("/set previews off")
        terminal.ask(f"{path} And this?")
        assert len(ITERM2.findall(terminal.written)) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("term", "answers", "mark"),
    [
        ("foot", SIXEL, r"\x1bP[\d;]*q.*\x1b\\"),
        ("xterm-kitty", KITTY, r"\x1b_Gi=\d+,m=0,f=100,q=2;iVBOR[A-Za-z0-9+/=]+\x1b\\"),
    ],
    ids=["sixel", "kitty"],
)
def test_sixel_and_kitty_get_their_own_form(
    tiny_folder: Path, tmp_path: Path, term: str, answers: dict[str, str], mark: str
) -> None:
    pytest.importorskip("textual_image")
    arguments: list[str | Path] = ["--model", tiny_folder, *FEW]
    with Terminal(arguments, data=tmp_path / "data", more={"TERM": term}, answers=answers) as terminal:
        terminal.wait_for_line()
        terminal.ask(str(red(tmp_path)))
        assert len(re.findall(mark, terminal.written, re.S)) >= 1
        terminal.ask("What is it?")
        assert "Traceback" not in terminal.written


@pytest.mark.long
@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {}], ids=["dumb", "unknown"])
def test_elsewhere_a_line_stands_for_the_picture_and_nothing_is_asked(
    tiny_folder: Path, tmp_path: Path, more: dict[str, str]
) -> None:
    with Terminal(["--model", tiny_folder, *FEW], data=tmp_path / "data", more=more) as terminal:
        terminal.wait_for_line()
        terminal.ask(str(red(tmp_path)))
        assert "red.png, 96x64, goes with the next question" in " ".join(terminal.text.split())
        assert not re.search(r"\x1b(P|_G|\]1337|\[c)", terminal.written)
