"""What is far too long is refused by its words alone, and nothing that fits ever is."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ContextLengthError
from edge.prompt.build import PromptOptions
from edge.prompt.text.bound import check_bound, least_tokens
from tests.prompt_parts import processor
from tests.real_tokenizer import real_tokenizer

PIECES = [
    "<|im_start|>",
    "<think>",
    "<|fim_middle|>",
    "_",
    "12",
    "e\u0301e",
    "日本",
    "²Ⅷ",
    "नमस्ते",
    "don't",
    " ",
    "\n",
    "x" * 40,
]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8))).map("".join), st.integers(0, 20))
def test_the_bound_is_never_more_than_the_truth(text: str, limit: int) -> None:
    tokenizer = real_tokenizer()
    for given_text in (text, text * 30):
        assert least_tokens(given_text, tokenizer, limit=limit) <= len(tokenizer.encode(given_text))


def test_words_and_digits_count() -> None:
    assert least_tokens("one two, three 45", real_tokenizer(), limit=4) == 5
    assert least_tokens("x" * 100_000, real_tokenizer(), limit=50) > 50


@pytest.mark.parametrize("content", ["word " * 300, [{"type": "text", "text": "word " * 200}] * 2])
def test_a_long_prompt_is_refused_before_the_template_runs(content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    built = processor()
    monkeypatch.setattr(type(built.template), "render", lambda *_args, **_rest: pytest.fail("rendered"))
    with pytest.raises(ContextLengthError, match="The prompt has over 250 tokens, the context holds 250") as caught:
        built.build([{"role": "user", "content": content}], options=PromptOptions(max_prompt_tokens=250))
    assert caught.value.field == "messages"


def test_what_a_template_may_leave_out_does_not_count() -> None:
    check_bound([{"role": "assistant", "content": "word " * 300}], real_tokenizer(), 250)


def test_twenty_megabytes_are_refused_at_once() -> None:
    text = "some words " * 2_000_000
    started = time.process_time()
    with pytest.raises(ContextLengthError, match="context holds"):
        processor().build_raw(text, max_tokens=262_144)
    assert time.process_time() - started < 2
