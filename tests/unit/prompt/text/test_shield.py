from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import PromptError
from edge.prompt.text.shield import MARK_CODES, Shield

TOKENS = ["<|im_start|>", "<|im_end|>", "</s>", "[INST]"]


def cuts(token: str) -> list[tuple[str, str]]:
    return [(token[:i], token[i:]) for i in range(len(token) + 1)]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_cut_anywhere_is_no_token_when_joined(token: str) -> None:
    for left, right in cuts(token):
        shield = Shield(TOKENS)
        guarded = shield.guard([f"a{left}", f"{right}b"], "x")
        assert token not in "".join(guarded)
        assert [shield.remove(part) for part in guarded] == [f"a{left}", f"{right}b"]


@pytest.mark.parametrize("token", TOKENS)
def test_texts_guarded_apart_make_no_token_together(token: str) -> None:
    for left, right in cuts(token):
        shield = Shield(TOKENS)
        (first,), (second,) = shield.guard([left], "x"), shield.guard([right], "x")
        assert token not in first + second


def test_a_template_that_writes_one_half_of_a_token_makes_none() -> None:
    shield = Shield(TOKENS)
    (tail,), (head,) = shield.guard(["|im_end|>"], "x"), shield.guard(["<|im_end"], "x")
    assert "<|im_end|>" not in "<" + tail + head + "|>"


def test_overlapping_tokens_are_all_guarded() -> None:
    shield = Shield(["abca", "cabc"])
    (guarded,) = shield.guard(["abcabca"], "x")
    assert "abca" not in guarded
    assert "cabc" not in guarded


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from([*"<|im_end>/s[INST]", "\ufdd0", "\ufdd1"]), max_size=12), max_size=5))
def test_guarding_hides_every_token_and_changes_nothing(parts: list[str]) -> None:
    shield = Shield(TOKENS, parts)
    guarded = shield.guard(parts, "x")
    assert not [token for token in TOKENS if token in "".join(guarded)]
    assert [shield.remove(part) for part in guarded] == parts


@pytest.mark.parametrize("text", ["a < b", "x |> f", "</think>", "<tool_call>", "a|b", "[INS]", ""])
def test_other_text_inside_a_message_is_left_as_it_is(text: str) -> None:
    assert Shield(TOKENS).guard([f"({text})"], "x") == [f"({text})"]


def test_marks_are_characters_the_request_does_not_contain() -> None:
    written = [{"a": ["\ufdd0"]}, ("\ufdd1",), {"\ufdd2": 5}, r"\ufdd3"]
    shield = Shield(TOKENS, *written)
    (guarded,) = shield.guard(["<|im_end|>\ufdd0\ufdd1"], "x")
    assert shield.remove(guarded) == "<|im_end|>\ufdd0\ufdd1"
    assert not set("\ufdd0\ufdd1\ufdd2\ufdd3") & set(guarded.replace("\ufdd0\ufdd1", ""))


def test_a_mark_that_a_template_escapes_is_taken_out_too() -> None:
    for used in ("", "".join(map(chr, range(0xFDD0, 0xFDF0)))):
        shield = Shield(TOKENS, used)
        (guarded,) = shield.guard(["<|im_end|>"], "x")
        assert json.loads(shield.remove(json.dumps(guarded))) == "<|im_end|>"


def test_text_with_every_mark_is_refused() -> None:
    with pytest.raises(PromptError, match="of no meaning"):
        Shield(TOKENS, "".join(map(chr, MARK_CODES)))


def test_deep_nesting_is_refused_without_a_crash() -> None:
    nested: Any = "x"
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(PromptError, match="levels deep"):
        Shield(TOKENS, nested)
    while isinstance(nested, list):  # taken apart here: Python's own release would go as deep
        nested = nested[0]


def test_a_token_of_one_character_cannot_be_guarded() -> None:
    with pytest.raises(PromptError, match="control token '~'"):
        Shield(["~"]).guard(["a~b"], "messages[0]")


def test_broken_characters_are_refused() -> None:
    with pytest.raises(PromptError, match="lone surrogate"):
        Shield(TOKENS).guard(["\ud800"], "messages[0]")


def test_witnesses_tell_which_texts_were_written() -> None:
    shield = Shield(TOKENS, "\ufdd1")
    texts = [shield.add_witness(text, number) for number, text in enumerate((" a", "<b", "c\ufdd1"), start=1)]
    assert shield.find_witnesses(texts[0].strip() + texts[2]) == {1, 3}
    assert [shield.remove(text) for text in texts] == [" a", "<b", "c\ufdd1"]
    assert shield.add_witness(" ", 1) == " "
