"""Prompt files are read strictly; answers are found; each picture is kept once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from convert.verify.builtin import builtin_conversations
from convert.verify.samples import make_samples, read_conversations
from edge.config_json import model_config_from_file
from edge.errors import MediaError, PromptError
from edge.prompt.processor import Processor
from tests.prompt_parts import processor
from tests.system.folders import write_tiny_folder

Json = Any  # a line of the prompt file
KINDS = {"text", "image", "images", "video", "tools", "reasoning"}


@pytest.mark.parametrize("variant", ["thinking", "instruct"])
def test_the_builtin_prompts_work_with_the_real_template_and_have_answers(variant: str) -> None:
    samples = make_samples(builtin_conversations(), processor("thinking" if variant == "thinking" else "instruct"))
    assert {sample.kind for sample in samples.samples} == KINDS
    assert all(sample.answer is not None for sample in samples.samples)
    assert 10 <= len(samples.samples) <= 30
    assert samples.num_tokens < 5000


def test_an_answer_reaches_from_the_assistants_turn_to_its_end_mark() -> None:
    own = processor("instruct")
    sample = make_samples(builtin_conversations(), own).samples[1]
    assert sample.answer is not None
    text = own.tokenizer.decode(sample.prompt.token_ids[slice(*sample.answer)].tolist())
    assert text.startswith("Beim Gefrieren")
    assert text.endswith("es schwimmt.<|im_end|>")


@pytest.mark.parametrize(("thought", "start"), [("", "Ice"), ("Salt water is denser.", "Salt")])
def test_an_answer_without_a_thought_begins_behind_the_empty_one(thought: str, start: str) -> None:
    own = processor("thinking")
    answer = {"role": "assistant", "content": "Ice floats."} | ({"reasoning_content": thought} if thought else {})
    sample = make_samples([{"messages": [{"role": "user", "content": "Does ice float?"}, answer]}], own).samples[0]
    assert sample.answer is not None
    text = own.tokenizer.decode(sample.prompt.token_ids[slice(*sample.answer)].tolist())
    assert text.startswith(start)
    assert text.endswith("Ice floats.<|im_end|>")


def test_the_builtin_prompts_are_the_same_each_time() -> None:
    first, second = (make_samples(builtin_conversations(), processor()) for _ in range(2))
    assert first.digest == second.digest


def test_a_picture_in_two_prompts_is_kept_once(tmp_path: Path) -> None:
    folder = write_tiny_folder(tmp_path / "model")
    own = Processor.from_folder(folder, model_config_from_file(folder / "config.json"))
    picture = next(item for item in builtin_conversations() if item["kind"] == "image")
    samples = make_samples([picture, picture | {"name": "again"}], own)
    assert len(samples.media) == 1
    assert [sample.media_ids for sample in samples.samples] == [(0,), (0,)]


def write_lines(folder: Path, *lines: object) -> str:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(path)


def test_paths_are_relative_to_the_prompt_file(tmp_path: Path) -> None:
    content = [{"type": "image", "image": "a.png"}, {"type": "video", "video": ["b.png", "c.png"], "frame_rate": 1}]
    content.append({"type": "image", "image": "data:image/png;base64,AA"})
    item = read_conversations(write_lines(tmp_path, {"messages": [{"role": "user", "content": content}]}))[0]
    found = item["messages"][0]["content"]
    assert found[0]["image"] == str(tmp_path / "a.png")
    assert found[1]["video"] == [str(tmp_path / "b.png"), str(tmp_path / "c.png")]
    assert found[2]["image"].startswith("data:")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], r"prompts\.jsonl:1: not readable JSON"),
        ([{"messages": []}, {"prompt": "x"}], r'jsonl:2: expected an object with "messages"'),
        ([{"messages": [], "sort": 1}], r"jsonl:1: unknown key sort\. Known: kind, messages, name, tools"),
        ([], "found an empty file"),
    ],
)
def test_a_bad_prompt_file_is_refused_by_line(lines: list[object], message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=message):
        read_conversations(write_lines(tmp_path, *lines))


def test_a_missing_prompt_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"absent\.jsonl: cannot be read"):
        read_conversations(str(tmp_path / "absent.jsonl"))


def test_a_message_that_is_no_object_is_refused_by_name() -> None:
    with pytest.raises(PromptError, match=r"^odd: "):
        make_samples([{"name": "odd", "messages": ["hello"]}], processor())


def test_an_empty_conversation_is_refused_by_name() -> None:
    with pytest.raises(PromptError, match="empty: "):
        make_samples([{"name": "empty", "messages": []}], processor())


def asked(text: str) -> str:
    return json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("\ufeff" + asked("a") + "\n", ["a"]),
        (asked("a") + "\r\n\r\n" + asked("b") + "\r\n", ["a", "b"]),
        ("\n  \n" + asked("a"), ["a"]),
        *((asked(f"a{mark}b") + "\n" + asked("c"), [f"a{mark}b", "c"]) for mark in "\u2028\u2029\x85"),
    ],
)
def test_only_ends_of_lines_end_a_line(content: str, texts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content.encode())
    assert [item["messages"][0]["content"] for item in read_conversations(str(path))] == texts


def test_text_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(asked("\xe9").encode("latin-1"))
    with pytest.raises(PromptError, match=r"p\.jsonl: cannot be read \(not UTF-8\)"):
        read_conversations(str(tmp_path / "p.jsonl"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([{"type": "image", "image": "absent.png"}], r"absent\.png: file not found"),
        ([{"type": "image_url", "image_url": {"url": "absent.png"}}], r"/absent\.png: file not found"),
        ([{"type": "video", "video": "absent.mp4"}], r"absent\.mp4: file not found"),
        ([{"type": "image", "image": "prompts.jsonl"}], "not a picture"),
        ([{"type": "image", "image": ""}], "'' is not a path"),
        ("", "The prompt is empty"),
    ],
)
def test_what_makes_no_prompt_is_told_with_its_line(content: Json, why: str, tmp_path: Path) -> None:
    folder = write_tiny_folder(tmp_path / "model")
    own = Processor.from_folder(folder, model_config_from_file(folder / "config.json"))
    path = write_lines(tmp_path, json.loads(asked("a")), {"messages": [{"role": "user", "content": content}]})
    with pytest.raises((PromptError, MediaError), match=rf"{re.escape(path)}:2: .*{why}"):
        make_samples(read_conversations(path), own)


def test_names_and_kinds_stay_in_their_cell_of_a_table() -> None:
    items: list[dict[str, Json]] = [
        {"messages": [{"role": "user", "content": "a"}], "name": name, "kind": name} for name in ("a|b\nc", None, 5)
    ]
    samples = make_samples(items, processor("instruct")).samples
    assert [(one.name, one.kind) for one in samples] == [("a/b c", "a/b c"), ("prompt-2", "text"), ("5", "5")]
