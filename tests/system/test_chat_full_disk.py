"""A full disk, a data folder that cannot be one, pictures that go: the talk lives on, and its history is whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.system.chat_process import environment, run_chat
from tests.system.terminal import Terminal

MOST_FILE_BYTES = 3000
FEW: tuple[str, ...] = ("--temperature", "0", "--max-tokens", "6")


def squeezed(text: str) -> str:
    return " ".join(text.split())


def noise(path: Path) -> Path:
    """Write a picture that is larger than a file may become."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(path)
    assert path.stat().st_size > MOST_FILE_BYTES
    return path


def test_a_full_disk_is_said_once_and_everything_else_goes_on(tiny_folder: Path, tmp_path: Path) -> None:
    picture, data = noise(tmp_path / "noise.png"), tmp_path / "data"
    arguments: list[str | Path] = ["--model", tiny_folder, *FEW, "--session", "full"]
    with Terminal(arguments, data=data, most_file_bytes=MOST_FILE_BYTES) as terminal:
        terminal.wait_for_line()
        terminal.ask("What is a circle?")
        terminal.ask(f"{picture} What is it?")
        terminal.ask("And what else?")
        assert squeezed(terminal.text).count("From here on the talk is not saved (File too large)") == 1
        terminal.ask(f"/export {tmp_path}/talk.md")
        terminal.ask("x" * 3500)  # longer than the history may become
        terminal.ask("/retry")
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
        assert "Traceback" not in terminal.written
        assert "internal error" not in terminal.written
    assert not (tmp_path / "talk.md").exists()
    lines = (data / "talks" / "full" / "talk.jsonl").read_text().splitlines()
    assert [json.loads(line)["role"] for line in lines if '"role"' in line][:2] == ["user", "assistant"]
    again = run_chat([*arguments, "--stats", "What is it?"], data=data)
    assert again.code == 0, again.err


@pytest.mark.long
@pytest.mark.parametrize("kind", ["file", "dangling", "read-only"])
def test_a_data_folder_that_is_none_is_said_and_the_talk_goes_on(tiny_folder: Path, tmp_path: Path, kind: str) -> None:
    data = tmp_path / "data"
    if kind == "read-only":
        data = Path("/proc/edge-data")  # refuses new folders to everybody, root included
    elif kind == "file":
        data.write_text("not a folder")
    else:
        data.symlink_to(tmp_path / "gone" / "deeper")
    with Terminal(["--model", tiny_folder, *FEW], data=data) as terminal:
        terminal.wait_for_line()
        terminal.ask("What is a circle?")
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
        assert "Traceback" not in terminal.written
        assert "internal error" not in terminal.written


@pytest.mark.long
def test_a_talks_folder_that_is_taken_away_is_said_and_the_talk_can_go_on(tiny_folder: Path, tmp_path: Path) -> None:
    picture, data = noise(tmp_path / "noise.png"), tmp_path / "data"
    with Terminal(["--model", tiny_folder, *FEW, "--stats"], data=data) as terminal:
        terminal.wait_for_line()
        terminal.ask(f"{picture} What is it?")
        shutil.rmtree(data / "talks")
        terminal.ask("And what else?")
        assert "not found" in squeezed(terminal.text)
        terminal.send("\x03")
        terminal.wait_for_line()
        terminal.ask("/undo")
        terminal.ask("/drop all")
        before = squeezed(terminal.text).count("first token")
        terminal.ask("And then?")
        assert squeezed(terminal.text).count("first token") == before + 1
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
        assert "Traceback" not in terminal.written
        assert "internal error" not in terminal.written


def test_names_and_values_that_lead_nowhere_leave_the_talk_alive(tiny_folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    lines: list[str | bytes] = [
        b"/image " + os.fsencode(tmp_path) + b"/\xff\xfe.png",
        "/image ~nobody-of-this-name/a.png",
        f"/image {'x' * 300}.png",
        f"/image {tmp_path}/pipe.png",
        f"/image {tmp_path}/folder.png",
        "/export /proc/none/talk.md",
        "/save /proc/none/talk.jsonl",
        "/set temperature nan",
        "/set max-tokens 1e9",
        "/schema /etc",
        "/tools /etc",
    ]
    with Terminal(["--model", tiny_folder, *FEW, "--stats"], data=tmp_path / "data") as terminal:
        terminal.wait_for_line()
        terminal.ask("What is a circle?")
        for line in lines:
            terminal.send(line if isinstance(line, bytes) else line.encode())
            terminal.ask("")
            assert terminal.process.poll() is None
        assert squeezed(terminal.text).count("edge.chat:") == len(lines), terminal.text
        before = squeezed(terminal.text).count("first token")
        terminal.ask("And what else?")
        assert squeezed(terminal.text).count("first token") == before + 1
        assert "Traceback" not in terminal.written
        assert "internal error" not in terminal.written


def test_an_unsaved_talk_keeps_its_picture_when_the_file_goes(tiny_folder: Path, tmp_path: Path) -> None:
    picture = noise(tmp_path / "noise.png")
    with Terminal(["--model", tiny_folder, *FEW, "--stats", "--no-save"], data=tmp_path / "data") as terminal:
        terminal.wait_for_line()
        terminal.ask(f"{picture} What is it?")
        picture.unlink()
        terminal.ask("And what else?")
        assert squeezed(terminal.text).count("prompt ") == 2, terminal.text  # both were answered
        assert "edge.chat:" not in terminal.text


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have a full device")
@pytest.mark.parametrize("stream", [1, 2])
def test_a_full_disk_behind_a_stream_is_no_traceback(tiny_folder: Path, tmp_path: Path, stream: int) -> None:
    command = (
        f"{sys.executable} -m edge.chat --model {tiny_folder} --temperature 0 --max-tokens 4 Hi {stream}>/dev/full"
    )
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=120, env=environment(tmp_path), check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if stream == 1 else done.returncode)
    assert done.returncode in (0, 1)
