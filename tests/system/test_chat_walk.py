"""Everything a talk can do, driven through a pseudo-terminal at several widths, and the screens held side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.system.chat_walk import Walk, comparable

KINDS: dict[str, tuple[int, dict[str, str]]] = {
    "80": (80, {}),
    "40-light": (40, {"COLORFGBG": "0;15"}),
    "200-no-colour": (200, {"NO_COLOR": "1"}),
    "80-dumb": (80, {"TERM": "dumb"}),
}
# The dumb terminal shows the answer as the model wrote it; its marks of Markdown are not the others'.
MARKS = "*`#_"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Callable[[str], Walk]:
    """Walk once at each kind of terminal."""

    @cache
    def walk(kind: str) -> Walk:
        columns, more = KINDS[kind]
        done = Walk(tmp_path_factory.mktemp("walk") / "x", columns=columns, more=more)
        done.talk(tiny_folder)
        return done

    return walk


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_of_a_talk_works_at_this_terminal(walked: Callable[[str], Walk], kind: str) -> None:
    walk = walked(kind)
    for part in ("demo checkpoint", "Try:", "sign.png What does the sign say?", "Talks are saved in", "/help"):
        assert part in walk.first
    talk, tools, stopped, again = walk.said
    assert "I see a red circle at the top left" in talk
    assert talk.count("There is 1 circle.") == 2  # asked, and again
    assert "There is 1 square." in talk
    assert "box (189, 189) to (323, 323)" in talk
    assert list((walk.folder / "data" / "talks" / "boxes" / "media").glob("boxes-scene*.png"))
    assert 'get_weather {"city": "Paris"}' in tools
    assert "It is sunny in Paris, 21 degrees." in tools
    assert "stopped; the answer so far is kept" in stopped
    assert "questions so far" in again
    roles = [json.loads(line)["role"] for line in (walk.folder / "copy.jsonl").read_text().splitlines()]
    assert roles == ["user", "assistant"] * 3
    assert "Traceback" not in walk.written


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_only_new_tokens_are_computed_and_each_picture_is_seen_once(walked: Callable[[str], Walk], kind: str) -> None:
    first, second, retried, edited, two, boxes, restored = walked(kind).costs
    assert (first.kept, first.has_seen) == (0, True)
    for later in (second, retried, edited):
        assert later.kept >= first.prompt - 4  # all of the first question but the opening of the thought
        assert not later.has_seen
    assert two.kept >= first.prompt
    assert two.has_seen
    assert not boxes.has_seen  # another talk, but the scene was seen in the first
    assert restored.kept >= two.prompt - 4
    assert restored.prompt - restored.kept < 60
    assert not restored.has_seen


@pytest.mark.long
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "80"])
def test_the_same_is_said_at_every_width(walked: Callable[[str], Walk], kind: str) -> None:
    one, other = walked("80"), walked(kind)
    for ours, theirs in zip(one.said[:2], other.said[:2], strict=True):
        left, right = comparable(ours, one.folder), comparable(theirs, other.folder)
        drop = str.maketrans("", "", MARKS if "TERM" in KINDS[kind][1] else "")
        assert left.translate(drop) == right.translate(drop)


@pytest.mark.long
def test_without_colours_none_are_written_and_a_dumb_terminal_gets_no_escape(walked: Callable[[str], Walk]) -> None:
    assert not re.search(r"\x1b\[(2|3\d|9\d)m", walked("200-no-colour").written)
    assert "\x1b" not in walked("80-dumb").written
