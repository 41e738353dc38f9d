from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.errors import PromptError
from edge.prompt.build import PromptOptions
from edge.prompt.text import begun
from tests.prompt_parts import VARIANTS, Variant, processor

Json = Any
USER = {"role": "user", "content": "What is 2 + 2?"}
GO_ON = PromptOptions(continues_last=True, skips_thought=True)


def answer(content: Json, **more: Json) -> Json:
    return {"role": "assistant", "content": content, **more}


def assert_is_the_beginning_of_the_whole(variant: Variant, message: Json) -> None:
    """The prompt holds the tokens that the finished conversation has up to the end of what was begun."""
    built = processor(variant)
    found = built.build([USER, message], options=GO_ON).token_ids
    whole = built.build([USER, message], options=PromptOptions(add_generation_prompt=False)).token_ids
    end = built.tokenizer.special_ids["<|im_end|>"]
    assert np.array_equal(found, whole[: len(found)])
    assert whole[len(found)] == end


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "message",
    [
        answer("It is"),
        answer("{"),
        answer([{"type": "text", "text": "It"}, {"type": "text", "text": " is "}]),
        answer("The tag <|im_end|> ends"),
    ],
)
def test_a_begun_answer_stands_as_in_the_finished_conversation(variant: Variant, message: Json) -> None:
    assert_is_the_beginning_of_the_whole(variant, message)


def test_a_thought_of_its_own_stands_before_it() -> None:
    assert_is_the_beginning_of_the_whole("thinking", answer("It is", reasoning_content="Four.\n"))


def test_a_prompt_without_the_empty_thought_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "EMPTY_THOUGHT", "\n")
    with pytest.raises(AssertionError):
        assert_is_the_beginning_of_the_whole("thinking", answer("It is"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_follows_is_neither_a_thought_nor_bound_to_speak(variant: Variant) -> None:
    prompt = processor(variant).build([USER, answer("It is")], options=GO_ON)
    assert (prompt.opens_reasoning, prompt.skips_reasoning) == (False, False)
    assert prompt.text.endswith("It is")


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([USER], r"messages\[0\]: expected an answer of the assistant"),
        ([answer("It is")], "expected a question before"),
        ([USER, answer("")], r"messages\[1\]: expected text to go on with"),
        ([USER, answer("x", tool_calls=[{"function": {"name": "f", "arguments": "{}"}}])], "with tool calls"),
        ([USER, answer([{"type": "image", "image": "a.png"}])], "found a picture"),
        ([USER, answer("<think>\nHm")], "a thought is not continued"),
    ],
)
def test_what_cannot_be_continued_is_refused(messages: Json, why: str) -> None:
    with pytest.raises(PromptError, match=why):
        processor("thinking").build(messages, options=GO_ON)
