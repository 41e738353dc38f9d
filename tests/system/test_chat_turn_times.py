"""The second turn of a talk, and the first after going on with it, wait a fraction of what the first one waited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.chat.welcome import find_samples
from tests.system.chat_process import environment
from tests.system.terminal import Terminal

# 1,024 tokens take the demo's tower minutes on a busy CPU: EDGE_TEST_PICTURE_TOKENS=1024 measures them.
TOKENS = int(os.environ.get("EDGE_TEST_PICTURE_TOKENS", "256"))
PIXELS = str(TOKENS * 1024)
ARGUMENTS = ("--stats", "--think", "off", "--max-tokens", "4", "--min-pixels", PIXELS, "--temperature", "0")
SECOND_TURN, AFTER_RESTORE = 0.25, 0.3


def first_token_s(terminal: Terminal) -> float:
    text = " ".join(terminal.text.split())
    return float(text.rpartition("first token ")[2].partition(" ")[0])


@pytest.mark.long
def test_later_turns_about_a_large_picture_begin_early(tmp_path: Path) -> None:
    samples = find_samples()
    assert samples is not None
    with Terminal(ARGUMENTS, data=tmp_path) as terminal:
        terminal.wait_for_line()
        terminal.ask(f"{samples.folder}/scene.png What is in this picture?")
        assert f"{TOKENS} tokens" in terminal.text
        first = first_token_s(terminal)
        terminal.ask("How many circles are there?")
        second = first_token_s(terminal)
        terminal.send("/quit\r")
        assert terminal.exit_code() == 0
    with Terminal([*ARGUMENTS, "--continue"], data=tmp_path) as terminal:
        terminal.wait_for_line()
        terminal.ask("How many squares are there?")
        restored = first_token_s(terminal)
    print(f"first {first:.2f} s, second {second:.2f} s, after going on {restored:.2f} s")
    assert second <= SECOND_TURN * first
    assert restored <= AFTER_RESTORE * first


def test_one_answer_imports_nothing_for_terminals(tiny_folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, json; from edge.chat.__main__ import main; "
        f"main(['--model', {str(tiny_folder)!r}, '--max-tokens', '2', 'Hi']); "
        "print(json.dumps([name for name in ('rich', 'prompt_toolkit', 'PIL', 'pypdfium2') if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
