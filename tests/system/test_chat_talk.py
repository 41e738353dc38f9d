"""The interactive chat on a pseudo-terminal, with the demo checkpoint and with a tiny one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from edge.chat.welcome import find_samples
from tests.system.terminal import Terminal

samples = find_samples()
assert samples is not None, "the sample pictures are there"
SAMPLES = samples.folder
SCENE = "I see a red circle at the top left, a yellow star at the top right, a blue square in the center"


def squeezed(text: str) -> str:
    """Return a screen's words, wherever its lines break."""
    return " ".join(text.split())


def costs(terminal: Terminal) -> tuple[int, int, bool]:
    """Return prompt tokens, kept tokens and whether the tower ran, of the last answer's line."""
    line = re.findall(r"prompt (\d+) tokens(?: \((\d+) kept\))?( · vision)?", squeezed(terminal.text))[-1]
    return int(line[0]), int(line[1] or 0), bool(line[2])


def saved_messages(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "more"),
    [(80, {}), (40, {"COLORFGBG": "0;15"}), (200, {"NO_COLOR": "1"}), (80, {"TERM": "dumb"})],
    ids=["80", "40-light", "200-no-colour", "80-dumb"],
)
def test_a_whole_talk_from_the_first_screen_to_going_on_with_it(
    tmp_path: Path, columns: int, more: dict[str, str]
) -> None:
    with Terminal(["--stats"], data=tmp_path, columns=columns, more=more) as terminal:
        terminal.wait_for_line()
        first = squeezed(terminal.text)
        for part in ("demo checkpoint", "Try:", "sign.png What does the sign say?", "Talks are saved in", "/help"):
            assert part in first
        terminal.ask(f"'{SAMPLES}/scene.png' What is in this picture?")
        assert SCENE in squeezed(terminal.text)
        length, kept, has_seen = costs(terminal)
        assert (kept, has_seen) == (0, True)
        terminal.ask("How many circles are there?")
        assert "There is 1 circle." in squeezed(terminal.text)
        _, kept, has_seen = costs(terminal)
        assert kept >= length - 4  # all of the first question but the opening of the thought
        assert not has_seen
        terminal.ask(f"{SAMPLES}/before.png {SAMPLES}/after.png")
        assert "[before.png, after.png] >" in squeezed(terminal.text)
        terminal.ask("/drop after.png")
        assert "[before.png] >" in squeezed(terminal.text)
        terminal.ask("/drop")
        terminal.ask("/set temperature 0")
        terminal.ask("/retry")
        assert squeezed(terminal.text).count("There is 1 circle.") == 2
        terminal.ask("/edit What is in this picture?")
        terminal.ask("/halp")
        assert "Did you mean /help?" in squeezed(terminal.text)
        if "TERM" in more or "NO_COLOR" in more:
            assert not re.search(r"\x1b\[(2|3\d|9\d)m", terminal.written)
        if "TERM" in more:
            assert "\x1b" not in terminal.written
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
        assert "--continue goes on with it" in squeezed(terminal.text)
        assert "Traceback" not in terminal.written
    with Terminal(["--stats", "--continue"], data=tmp_path, columns=columns, more=more) as terminal:
        terminal.wait_for_line()
        assert "2 questions so far" in squeezed(terminal.text)
        terminal.ask("How many squares are there?")
        assert "There is 1 square." in squeezed(terminal.text)
        prompt, kept, has_seen = costs(terminal)
        assert prompt - kept < 60
        assert kept > length
        assert not has_seen


@pytest.fixture
def endless(tiny_folder: Path, tmp_path: Path) -> Iterator[Terminal]:
    """A talk whose answers do not end by themselves."""
    with Terminal(["--model", tiny_folder, "--temperature", "0"], data=tmp_path) as terminal:
        terminal.wait_for_line()
        yield terminal


def test_ctrl_c_stops_an_answer_keeps_it_and_the_second_on_an_empty_line_leaves(
    endless: Terminal, tmp_path: Path
) -> None:
    endless.send("Go on\r")
    endless.wait_for_length(400)
    endless.send("\x03")
    endless.wait_for("stopped; the answer so far is kept")
    endless.wait_for_line()
    (talk,) = (tmp_path / "talks").iterdir()
    last = saved_messages(talk / "talk.jsonl")[-1]
    assert last["finish_reason"] == "cancelled"
    assert len(str(last["content"])) > 0
    endless.send("\x03")
    endless.wait_for("leaves")
    endless.wait_for_line()
    endless.send("\x03")
    assert endless.exit_code() == 0


def test_a_closed_window_loses_nothing(endless: Terminal, tmp_path: Path) -> None:
    endless.send("Go on\r")
    endless.wait_for_length(400)
    endless.hang_up()
    endless.exit_code()
    (talk,) = (tmp_path / "talks").iterdir()
    roles = [message["role"] for message in saved_messages(talk / "talk.jsonl") if message["type"] == "message"]
    assert roles == ["user", "assistant"]


def test_resizing_while_an_answer_streams_does_no_harm(endless: Terminal) -> None:
    endless.send("Go on\r")
    for columns, rows in ((120, 30), (20, 10), (200, 50), (80, 40)):
        endless.wait_for_length(300)
        endless.resize(columns, rows)
    endless.send("\x03")
    endless.wait_for("stopped")
    endless.wait_for_line()
    endless.ask("/stats")
    assert "first token" in squeezed(endless.text)


def test_a_broken_picture_in_a_later_turn_and_a_full_folder_leave_the_talk_alive(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copyfile(SAMPLES / "scene.png", tmp_path / "cut.png")
    with (tmp_path / "cut.png").open("r+b") as file:
        file.truncate(300)
    with Terminal(["--max-tokens", "60"], data=tmp_path / "data") as terminal:
        terminal.wait_for_line()
        terminal.ask(f"{SAMPLES}/scene.png How many circles are there?")
        terminal.ask(f"{tmp_path}/cut.png and this?")
        assert "broken" in squeezed(terminal.text)
        terminal.send("\x03")
        terminal.wait_for_line()
        os.chmod(tmp_path / "data" / "talks", 0o500)
        terminal.ask("How many squares are there?")
        assert "There is 1 square." in squeezed(terminal.text)
        os.chmod(tmp_path / "data" / "talks", 0o700)


def test_a_megabyte_paste_is_asked_whole_or_refused_in_one_line(tmp_path: Path) -> None:
    with Terminal(["--max-tokens", "8"], data=tmp_path) as terminal:
        terminal.wait_for_line()
        terminal.send("\x1b[200~" + "word " * 200_000 + "\x1b[201~")
        terminal.wait_for("[pasted 1: 1000000 characters]")
        terminal.send("\r")
        terminal.wait_for("the context holds 8192")
        terminal.wait_for_line()
        terminal.send("\x03")
        terminal.wait_for_line()
        terminal.ask("Hello")
        assert "Traceback" not in terminal.written


def test_save_gets_the_messages_and_incognito_writes_nothing_else(
    tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "talk.jsonl"
    arguments: list[str | Path] = ["--model", tiny_folder, "--temperature", "0", "--max-tokens", "8", "--save", saved]
    with Terminal([*arguments, "--incognito", "--image", picture], data=tmp_path / "data") as terminal:
        terminal.wait_for_line()
        assert "This talk is not saved." in terminal.text
        terminal.ask("What is it?")
        terminal.ask("And now?")
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
    assert [message["role"] for message in saved_messages(saved)] == ["user", "assistant"] * 2
    assert not (tmp_path / "data").exists()


def test_a_checkpoint_that_changed_rebuilds_the_talk_silently(tmp_path: Path) -> None:
    from edge.loading import DEMO_FOLDER

    folder = Path(shutil.copytree(DEMO_FOLDER, tmp_path / "model"))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    arguments: list[str | Path] = ["--model", folder, "--stats", "--session", "one"]
    with Terminal(arguments, data=tmp_path / "data") as terminal:
        terminal.wait_for_line()
        terminal.ask(f"{tmp_path}/red.png What is in this picture?")
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
    os.utime(folder / "model.safetensors", (1, 1))
    with Terminal(arguments, data=tmp_path / "data") as terminal:
        terminal.wait_for_line()
        terminal.ask("And what else?")
        assert costs(terminal)[1] == 0
        assert "edge.chat:" not in terminal.text
