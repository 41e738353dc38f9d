from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.prompt.text.tokenizer import Tokenizer, _byte_alphabet
from edge.text.detokenize import Detokenizer
from tests.unit.text.reading import BytesAsTokens


def streamed(data: bytes) -> list[str]:
    detokenizer = Detokenizer(BytesAsTokens())
    return [detokenizer.feed(byte) for byte in data] + [detokenizer.finish()]


@pytest.mark.parametrize("text", ["abc", "żółć", "日本語", "👩‍👩‍👧 ok", "é"])
def test_a_character_is_never_split_however_many_tokens_it_takes(text: str) -> None:
    pieces = streamed(text.encode())
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@given(st.binary(max_size=40))
def test_broken_bytes_give_the_same_text_streamed_and_at_once(data: bytes) -> None:
    assert "".join(streamed(data)) == data.decode("utf-8", errors="replace")


def test_a_cut_character_comes_out_as_replacement_at_the_end() -> None:
    assert streamed("日".encode()[:2])[-1] == "\ufffd"


def test_special_tokens_have_no_text() -> None:
    assert Detokenizer(BytesAsTokens()).feed(300) == ""


def byte_tokenizer() -> Tokenizer:
    """A token per byte, a few merges, a special and a visible added token."""
    vocabulary = {character: index for index, character in enumerate(sorted(_byte_alphabet()))}
    for merged in ("th", "the", "æĹ"):
        vocabulary[merged] = len(vocabulary)
    merges = [("t", "h"), ("th", "e"), ("æ", "Ĺ")]
    size = len(vocabulary)
    return Tokenizer.from_vocabulary(vocabulary, merges, {"<|im_end|>": (size, True), "</think>": (size + 1, False)})


@pytest.mark.parametrize("text", ["the 日本 then", "a</think>\n\nb", "👩‍👩‍👧日日", "naïve — ok"])
def test_streamed_text_equals_decoding_at_once(text: str) -> None:
    tokenizer = byte_tokenizer()
    token_ids = [*tokenizer.encode(text), tokenizer.special_ids["<|im_end|>"]]
    detokenizer = Detokenizer(tokenizer)
    streamed_text = "".join(detokenizer.feed(token_id) for token_id in token_ids) + detokenizer.finish()
    assert streamed_text == text == tokenizer.decode(token_ids, skip_special_tokens=True)
