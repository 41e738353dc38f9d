from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.system.chat_process import run_chat, start_chat

GREEDY = ("--temperature", "0", "--max-tokens", "12")


def test_the_answer_is_on_stdout_and_nothing_else(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    done = run_chat(["--model", tiny_folder, "--image", picture, *GREEDY, "What is it?"], data=tmp_path)
    assert done.code == 0
    assert done.out.endswith("\n")
    assert len(done.out.strip()) > 0
    assert done.err == "(cut at 12 tokens; raise --max-tokens for more)\n"


def test_piped_text_is_the_prompt(tiny_folder: Path, tmp_path: Path) -> None:
    given = run_chat(["--model", tiny_folder, *GREEDY, "Hello there"], data=tmp_path)
    for arguments in ([], ["-"]):
        assert run_chat(["--model", tiny_folder, *GREEDY, *arguments], data=tmp_path, stdin="Hello there") == given


def test_json_holds_answer_usage_and_finish_reason(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    done = run_chat(["--model", tiny_folder, "--image", picture, "--json", *GREEDY, "What?"], data=tmp_path)
    found = json.loads(done.out)
    plain = run_chat(["--model", tiny_folder, "--image", picture, *GREEDY, "What?"], data=tmp_path)
    assert found["answer"].strip() == plain.out.strip()
    assert found["finish_reason"] == "length"
    assert found["usage"]["completion_tokens"] == 12
    assert found["media"][0]["source"] == found["media"][0]["seen"] == {"width": 48, "height": 32}
    assert found["media"][0]["tokens"] == 24


def test_a_thought_goes_to_stderr_apart_from_the_answer(thinking_folder: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = [
        "--model",
        thinking_folder,
        "--temperature",
        "0",
        "--max-tokens",
        "40",
        "--thinking-budget",
        "5",
        "Why?",
    ]
    shown = run_chat(arguments, data=tmp_path)
    hidden = run_chat(["--no-reasoning", *arguments], data=tmp_path)
    assert shown.out == hidden.out
    assert len(shown.out.strip()) > 0
    assert len(shown.err) > len(hidden.err)


def test_a_thought_that_would_take_all_tokens_is_closed_for_an_answer(thinking_folder: Path, tmp_path: Path) -> None:
    done = run_chat(["--model", thinking_folder, "--no-reasoning", *GREEDY, "Why?"], data=tmp_path)
    assert done.out.strip() != ""
    assert "went into the thought" not in done.err


def test_stats_name_tokens_speeds_and_memory(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    done = run_chat(["--model", tiny_folder, "--image", picture, "--stats", *GREEDY, "What?"], data=tmp_path)
    assert "48x32 -> 48x32 pixels, 24 tokens" in done.err
    assert "tokens/s" in done.err
    assert "peak" in done.err


def test_a_picture_made_smaller_by_a_limit_is_said_without_being_asked(
    tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    arguments: list[str | Path] = ["--model", tiny_folder, "--image", picture, *GREEDY, "What?"]
    assert "48x32" not in run_chat(arguments, data=tmp_path).err
    smaller = run_chat(["--max-pixels", "512", *arguments], data=tmp_path).err
    assert "48x32 -> 24x16 pixels, 6 tokens (limit: max_pixels 512)" in smaller


def test_the_same_seed_gives_the_same_answer(tiny_folder: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["--model", tiny_folder, "--temperature", "1.5", "--max-tokens", "20", "Hi"]
    first, again, other = (run_chat(["--seed", seed, *arguments], data=tmp_path).out for seed in ("1", "1", "2"))
    assert first == again != other


def test_a_video_is_answered(tiny_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.new("RGB", (32, 48), (40 * i, 0, 0)) for i in range(5)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:], duration=500)
    done = run_chat(["--model", tiny_folder, "--video", tmp_path / "film.gif", *GREEDY, "What?"], data=tmp_path)
    assert done.code == 0


def test_ctrl_c_keeps_what_was_written_and_exits_with_130(tiny_folder: Path, tmp_path: Path) -> None:
    process = start_chat(["--model", tiny_folder, "--temperature", "0", "Go on"], data=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.read(5)
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (first + rest).endswith(b"\n")
    assert b"Traceback" not in err


@pytest.mark.parametrize("lines", [1])
def test_a_reader_that_goes_away_is_no_crash(tiny_folder: Path, tmp_path: Path, lines: int) -> None:
    process = start_chat(["--model", tiny_folder, "--temperature", "0", "--max-tokens", "3000", "Go on"], data=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(lines)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert b"Traceback" not in err
