from __future__ import annotations

import random
import re

import pytest

from edge.chat.screen import markdown
from edge.chat.screen.markdown import MarkdownStream
from tests.unit.chat.screen.consoles import shown, terminal

ANSWER = """\
# A title

Some **bold** text with `code` and a list of words that is longer than one line of this terminal is.

1. one
2. two *words*
   - deeper

```python
def f(x):
    return "a very long line of code that must not be broken, so that it can be copied as it is"
```

| a | b |
|---|--:|
| 1 | 22 |

> quoted

<table><tr><td>5 < 6</td></tr></table>

First line
second line

![alt](http://x/y.png) and [link](http://x/z)
"""


def written(monkeypatch: pytest.MonkeyPatch, pieces: list[str], *, columns: int = 40, term: str = "xterm") -> str:
    console, stream = terminal(monkeypatch, columns=columns, term=term)
    monkeypatch.setattr(markdown, "REDRAW_S", 0.0)
    laid_out = MarkdownStream(stream)
    for piece in pieces:
        laid_out.feed(piece)
    laid_out.finish()
    return console.getvalue()


def test_an_answer_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(written(monkeypatch, [ANSWER]), columns=40)
    assert lines[0] == "A title"
    assert "Some bold text with code and a list of" in lines
    assert any(line.strip() == "1 one" for line in lines)
    assert any("• deeper" in line for line in lines)
    assert "def f(x):" in lines
    assert "> quoted" not in lines
    assert any("quoted" in line for line in lines)


def test_nothing_of_the_text_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(written(monkeypatch, [ANSWER], columns=100), columns=100)
    text = "\n".join(lines)
    assert "<table><tr><td>5 < 6</td></tr></table>" in text
    assert "First line\nsecond line" in text
    assert "http://x/y.png" in text
    assert "http://x/z" in text


def test_code_is_copied_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    text = written(monkeypatch, [ANSWER])
    assert '    return "a very long line of code that must not be broken, so that it can be copied as it is"' in text


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stream_cut_anywhere_shows_the_same(monkeypatch: pytest.MonkeyPatch, columns: int, seed: int) -> None:
    draw = random.Random(seed)
    whole = shown(written(monkeypatch, [ANSWER], columns=columns), columns=columns)
    places = sorted(draw.sample(range(len(ANSWER)), 40))
    pieces = [ANSWER[start:end] for start, end in zip([0, *places], [*places, len(ANSWER)], strict=True)]
    assert shown(written(monkeypatch, pieces, columns=columns), columns=columns) == whole


def test_a_block_longer_than_the_screen_stays_whole_above(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = ["- item number " + str(i) + "\n" for i in range(100)]
    lines = shown(written(monkeypatch, pieces))
    assert [line.strip() for line in lines if line] == [f"• item number {i}" for i in range(100)]


def test_control_characters_of_the_model_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(written(monkeypatch, ["a\x1b[2Jb\x1b]0;title\x07c"])) == ["a[2Jb]0;titlec"]


def test_no_colour_is_given_a_background(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not re.search(r"\x1b\[([0-9]+;)*4[0-9]", written(monkeypatch, [ANSWER]))
