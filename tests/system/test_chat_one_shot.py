from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.system.chat_here import run_chat_here
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
    plain = run_chat_here(["--model", tiny_folder, "--image", picture, *GREEDY, "What?"], data=tmp_path)
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
    shown = run_chat_here(arguments, data=tmp_path)
    hidden = run_chat_here(["--no-reasoning", *arguments], data=tmp_path)
    assert shown.out == hidden.out
    assert len(shown.out.strip()) > 0
    assert len(shown.err) > len(hidden.err)


def test_a_thought_that_would_take_all_tokens_is_closed_for_an_answer(thinking_folder: Path, tmp_path: Path) -> None:
    done = run_chat_here(["--model", thinking_folder, "--no-reasoning", *GREEDY, "Why?"], data=tmp_path)
    assert done.out.strip() != ""
    assert "went into the thought" not in done.err


def test_stats_name_tokens_speeds_and_memory(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    done = run_chat_here(["--model", tiny_folder, "--image", picture, "--stats", *GREEDY, "What?"], data=tmp_path)
    assert "48x32 -> 48x32 pixels, 24 tokens" in done.err
    assert "tokens/s" in done.err
    assert "peak" in done.err


def test_a_picture_made_smaller_by_a_limit_is_said_without_being_asked(
    tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    arguments: list[str | Path] = ["--model", tiny_folder, "--image", picture, *GREEDY, "What?"]
    assert "48x32" not in run_chat_here(arguments, data=tmp_path).err
    smaller = run_chat_here(["--max-pixels", "512", *arguments], data=tmp_path).err
    assert "48x32 -> 24x16 pixels, 6 tokens (limit: --max-pixels 512)" in smaller


def test_the_same_seed_gives_the_same_answer(tiny_folder: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["--model", tiny_folder, "--temperature", "1.5", "--max-tokens", "20", "Hi"]
    first, again, other = (run_chat_here(["--seed", seed, *arguments], data=tmp_path).out for seed in ("1", "1", "2"))
    assert first == again != other


def test_a_video_is_answered(tiny_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.new("RGB", (32, 48), (40 * i, 0, 0)) for i in range(5)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:], duration=500)
    done = run_chat_here(["--model", tiny_folder, "--video", tmp_path / "film.gif", *GREEDY, "What?"], data=tmp_path)
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


def test_piped_text_is_joined_to_the_question(tiny_folder: Path, tmp_path: Path) -> None:
    joined = run_chat_here(["--model", tiny_folder, *GREEDY, "--json", "Hello\n\nthere"], data=tmp_path)
    piped = run_chat(["--model", tiny_folder, *GREEDY, "--json", "Hello"], data=tmp_path, stdin="there\n")
    assert json.loads(piped.out)["answer"] == json.loads(joined.out)["answer"]


def test_a_picture_comes_through_a_pipe_or_in_the_question(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    named = run_chat(["--model", tiny_folder, *GREEDY, "--image", picture, "What?"], data=tmp_path).out
    piped = run_chat(["--model", tiny_folder, *GREEDY, "--image", "-", "What?"], data=tmp_path, stdin=picture).out
    within = run_chat(["--model", tiny_folder, *GREEDY, f"{picture} What?"], data=tmp_path).out
    assert named == piped == within


def test_json_survives_an_encoding_without_the_characters(tiny_folder: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["--model", tiny_folder, *GREEDY, "Hi"]
    latin = {"PYTHONIOENCODING": "latin-1"}
    found = json.loads(run_chat([*arguments, "--json"], data=tmp_path, more=latin).out)
    assert found["answer"] == json.loads(run_chat([*arguments, "--json"], data=tmp_path).out)["answer"]
    assert run_chat(arguments, data=tmp_path, more=latin).code == 0


def test_json_events_are_lines_that_join_to_the_answer(thinking_folder: Path, picture: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = [
        "--model",
        thinking_folder,
        "--temperature",
        "0",
        "--max-tokens",
        "40",
        "--think",
        "5",
    ]
    done = run_chat_here([*arguments, "--image", picture, "--json-events", "Why?"], data=tmp_path)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["prompt", "finish"]
    assert events[0]["media"][0]["tokens"] == 24
    whole = json.loads(run_chat_here([*arguments, "--image", picture, "--json", "Why?"], data=tmp_path).out)
    assert "".join(event["text"] for event in events if event["event"] == "text") == whole["answer"]
    assert "".join(event["text"] for event in events if event["event"] == "reasoning") == whole["reasoning"]


def test_a_thinking_model_leaves_room_for_an_answer_by_itself(thinking_folder: Path, tmp_path: Path) -> None:
    for max_tokens in ("1", "12", "80"):
        done = run_chat_here(
            ["--model", thinking_folder, "--temperature", "0", "--max-tokens", max_tokens, "Why?"], data=tmp_path
        )
        assert len(done.out.strip()) > 0


def test_a_schema_holds_the_answer(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["n"],
        "additionalProperties": False,
    }
    (tmp_path / "s.json").write_text(json.dumps(schema))
    done = run_chat_here(["--schema", tmp_path / "s.json", "--think", "off", "How many?"], data=tmp_path)
    assert isinstance(json.loads(done.out)["n"], int)


def test_a_named_session_goes_on_from_script_to_script(tiny_folder: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["--model", tiny_folder, *GREEDY, "--json", "--session", "mine"]
    first = json.loads(run_chat([*arguments, "What is this that you see?"], data=tmp_path).out)
    second = json.loads(run_chat([*arguments, "And?"], data=tmp_path).out)
    assert first["usage"]["cached_tokens"] == 0
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]
    assert second["usage"]["cached_tokens"] >= first["usage"]["prompt_tokens"] - 2
