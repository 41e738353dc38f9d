"""The built-in calibration prompts: the same each time, and none that `convert verify` measures on."""

from __future__ import annotations

import json
from typing import Any

from convert.calibration.prompts import builtin_prompts
from convert.verify.builtin import builtin_conversations

Json = Any  # messages


def texts_of(item: Json) -> list[str]:
    found = []
    for message in item["messages"]:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        found += [part for part in parts if part]
    return found


def said(item: Json) -> str:
    return json.dumps([texts_of(item), item.get("tools")], ensure_ascii=False)


def test_they_are_the_same_each_time_pictures_too() -> None:
    first, second = list(builtin_prompts()), list(builtin_prompts())
    assert [said(item) for item in first] == [said(item) for item in second]
    pictures = [
        [part["image"].tobytes() for message in item["messages"] for part in message["content"] if "image" in part]
        for items in (first, second)
        for item in items
        if item["kind"] == "image"
    ]
    assert pictures[: len(pictures) // 2] == pictures[len(pictures) // 2 :]


def test_every_kind_is_there_and_every_name_once() -> None:
    prompts = list(builtin_prompts())
    assert {item["kind"] for item in prompts} == {"text", "code", "reasoning", "image", "images", "video", "tools"}
    assert len({item["name"] for item in prompts}) == len(prompts)


def test_each_ends_with_the_assistants_answer() -> None:
    for item in builtin_prompts():
        assert item["messages"][-1]["role"] == "assistant"
        assert item["messages"][-1]["content"].strip()


def test_no_text_is_among_those_that_verify_measures_on() -> None:
    measured = {text for item in builtin_conversations() for text in texts_of(item)}
    assert len(measured) > 20
    assert not measured & {text for item in builtin_prompts() for text in texts_of(item)}
