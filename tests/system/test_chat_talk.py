"""The interactive chat on a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.system.chat_process import environment

PATIENCE_S = 60


class Terminal:
    """A program on a terminal, and what it has written."""

    def __init__(self, arguments: Sequence[str | Path], *, data: Path) -> None:
        self._own, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge.chat", *map(str, arguments)],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**environment(data), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(other)
        self.written = ""
        self._seen = 0

    def wait_for(self, text: str) -> None:
        """Read until some new text has appeared."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.written[self._seen :]:
            assert time.monotonic() < end, f"waited for {text!r}, saw {self.written[self._seen :]!r}"
            if select.select([self._own], [], [], 1)[0]:
                self.written += os.read(self._own, 4096).decode(errors="replace")
        self._seen = self.written.index(text, self._seen) + len(text)

    def wait_for_length(self, num_characters: int) -> None:
        """Read until so much new text has appeared."""
        target = len(self.written) + num_characters
        while len(self.written) < target:
            assert select.select([self._own], [], [], PATIENCE_S)[0], f"silent after {self.written!r}"
            self.written += os.read(self._own, 4096).decode(errors="replace")

    def send(self, text: str) -> None:
        os.write(self._own, text.encode())

    def exit_code(self) -> int:
        return self.process.wait(timeout=PATIENCE_S)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


def _take_terminal() -> None:
    """Make the pseudo-terminal the controlling one, so that Ctrl-C reaches the program."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def saved_messages(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_talk_with_a_picture_is_answered_and_saved(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.jsonl"
    arguments: list[str | Path] = ["--model", tiny_folder, "--temperature", "0", "--max-tokens", "8", "--save", saved]
    with Terminal(arguments, data=tmp_path) as terminal:
        terminal.wait_for(">")
        terminal.send(f"/image {picture}\r")
        terminal.wait_for("48x32")
        terminal.wait_for(">")
        terminal.send("What is it?\r")
        terminal.wait_for("cut at 8 tokens")
        terminal.wait_for(">")
        terminal.send("And now?\r")
        terminal.wait_for("cut at 8 tokens")
        terminal.wait_for(">")
        terminal.send("/quit\r")
        terminal.wait_for("saved in")
        assert terminal.exit_code() == 0
        assert [message["role"] for message in saved_messages(saved)] == ["user", "assistant", "user", "assistant"]
        assert "Traceback" not in terminal.written


def test_ctrl_c_stops_an_answer_keeps_it_and_the_talk_goes_on(tiny_folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.jsonl"
    with Terminal(["--model", tiny_folder, "--temperature", "0", "--save", saved], data=tmp_path) as terminal:
        terminal.wait_for(">")
        terminal.send("Go on\r")
        terminal.wait_for_length(600)
        terminal.send("\x03")
        terminal.wait_for("stopped")
        terminal.wait_for(">")
        messages = saved_messages(saved)
        assert messages[-1]["finish_reason"] == "cancelled"
        assert len(str(messages[-1]["content"])) > 0
        terminal.send("\x04")
        terminal.wait_for("saved in")
        assert terminal.exit_code() == 0
