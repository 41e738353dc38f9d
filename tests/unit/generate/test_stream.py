from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.generate.stream import Detokenizer, StopStrings
from edge.prompt.text.tokenizer import Tokenizer, _byte_alphabet


class OneBytePerToken:
    """A token id is a byte; 300 is a special token."""

    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if token_id < 256 else b"<|special|>"

    def is_special(self, token_id: int) -> bool:
        return token_id >= 256


def streamed(data: bytes) -> list[str]:
    detokenizer = Detokenizer(OneBytePerToken())
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
    assert Detokenizer(OneBytePerToken()).feed(300) == ""


def stopped(pieces: Sequence[str], stops: Sequence[str]) -> tuple[str, str | None]:
    stop_strings = StopStrings(stops)
    text = "".join(stop_strings.feed(piece) for piece in pieces) + stop_strings.finish()
    return text, stop_strings.found


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("hello END more", ["END"], ("hello ", "END")),
        ("hello EN", ["END"], ("hello EN", None)),
        ("aab", ["ab"], ("a", "ab")),
        ("ababac", ["abac"], ("ab", "abac")),
        ("x###y", ["##", "###"], ("x", "###")),
        ("x##y", ["###", "##"], ("x", "##")),
        ("x##", ["###", "##"], ("x", "##")),
        ("abcd", ["bc", "abcde"], ("a", "bc")),
        ("no stop", [], ("no stop", None)),
        ("日本語。終", ["。"], ("日本語", "。")),
    ],
)
def test_a_stop_string_cuts_the_text_for_every_split_in_two(
    text: str, stops: list[str], expected: tuple[str, str | None]
) -> None:
    for cut in range(len(text) + 1):
        assert stopped([text[:cut], text[cut:]], stops) == expected
    assert stopped(list(text), stops) == expected


def test_text_that_cannot_be_a_stop_string_is_passed_on_at_once() -> None:
    stop_strings = StopStrings(["\n\n"])
    assert stop_strings.feed("one\n") == "one"
    assert stop_strings.feed("two") == "\ntwo"


def test_text_after_a_stop_string_is_swallowed() -> None:
    stop_strings = StopStrings(["."])
    assert stop_strings.feed("a.b") == "a"
    assert stop_strings.feed("c") == ""
    assert stop_strings.finish() == ""


@given(st.text(alphabet="ab", max_size=12), st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3))
def test_every_cut_of_a_text_stops_alike(text: str, stops: list[str]) -> None:
    whole = stopped([text], stops)
    for cut in range(len(text) + 1):
        assert stopped([text[:cut], text[cut:]], stops) == whole
    assert stopped(list(text), stops) == whole


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
