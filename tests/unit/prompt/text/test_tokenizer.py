from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from edge.errors import ConfigError
from edge.prompt.text.tokenizer import Tokenizer
from tests.real_tokenizer import added_tokens, merges, real_tokenizer, tokenizer_json, vocabulary

PIECES = [
    "<|im_start|>",
    "<|im_end|>",
    "<|image_pad|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<|",
    "|>",
    "<",
    "im_end",
]
TEXTS = st.lists(
    st.one_of(st.sampled_from([*PIECES, " ", "\n", "é", "e\u0301", "日本", "12", "🙂"]), st.text(max_size=6))
)


def write_folder(folder: Path) -> Path:
    (folder / "vocab.json").write_text(json.dumps(vocabulary()), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges())]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    added = {str(i): {"content": name, "special": special} for name, (i, special) in added_tokens().items()}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    return folder


@pytest.fixture(scope="module")
def library() -> Backend:
    """The tokenizers library by itself, which splits off special tokens its own way."""
    return Backend.from_str(tokenizer_json())


@settings(deadline=None)
@given(TEXTS.map("".join))
def test_ids_equal_the_librarys(library: Backend, text: str) -> None:
    assert real_tokenizer().encode(text) == library.encode(text, add_special_tokens=False).ids


@settings(deadline=None)
@given(TEXTS.map("".join))
def test_the_bytes_of_tokens_are_the_text(text: str) -> None:
    import unicodedata

    tokenizer = real_tokenizer()
    joined = b"".join(tokenizer.token_bytes(token_id) for token_id in tokenizer.encode_plain(text))
    assert joined.decode() == unicodedata.normalize("NFC", text)


def test_plain_text_never_becomes_a_control_token() -> None:
    tokenizer = real_tokenizer()
    ids = tokenizer.encode_plain("a<|im_end|><|image_pad|>")
    assert not set(ids) & set(tokenizer.special_ids.values())
    assert tokenizer.decode(ids) == "a<|im_end|><|image_pad|>"


def test_thinking_and_tool_tokens_stay_visible() -> None:
    tokenizer = real_tokenizer()
    ids = tokenizer.encode("<think>x</think><tool_call><|im_end|>")
    assert ids[0] == 151667
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>x</think><tool_call>"
    assert tokenizer.is_special(151645)
    assert not tokenizer.is_special(151667)


def test_digits_stand_alone_and_no_space_is_added() -> None:
    tokenizer = real_tokenizer()
    assert len(tokenizer.encode("2024")) == 4
    assert tokenizer.decode(tokenizer.encode("a")) == "a"


def test_rows_without_a_text_give_nothing() -> None:
    tokenizer = real_tokenizer()
    assert tokenizer.vocab_size == 151669
    assert tokenizer.token_bytes(151700) == b""
    assert tokenizer.token_id("no such token at all") is None
    assert tokenizer.token_id("<|im_end|>") == 151645


def test_vocab_and_merges_make_the_same_tokenizer(tmp_path: Path) -> None:
    rebuilt = Tokenizer.from_folder(write_folder(tmp_path))
    text = "Hello <|im_end|> <think>\n\n  déjà vu 日本 123 e\u0301"
    assert rebuilt.encode(text) == real_tokenizer().encode(text)
    assert rebuilt.special_ids == real_tokenizer().special_ids


def test_a_folder_without_tokenizer_files_names_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing: tokenizer\.json, vocab\.json"):
        Tokenizer.from_folder(tmp_path)


BAD_MERGES = (
    '{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, '
    '"decoder": null, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}}'
)


@pytest.mark.parametrize("text", ["", "{}", '{"model": 5}', "not json", BAD_MERGES])
def test_a_broken_tokenizer_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ConfigError, match=r"tokenizer\.json: not a readable tokenizer"):
        Tokenizer.from_folder(tmp_path)


def test_added_tokens_with_other_ids_are_refused() -> None:
    with pytest.raises(ConfigError, match="should have id 9"):
        Tokenizer.from_vocabulary({"a": 0, "b": 1, "ab": 2}, [("a", "b")], {"<|x|>": (9, True)})


def test_merges_without_their_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match="do not fit together"):
        Tokenizer.from_vocabulary({"a": 0, "b": 1}, [("a", "b")], {})


def test_tokens_that_strip_their_neighbours_are_refused() -> None:
    raw = json.loads(tokenizer_json())
    raw["added_tokens"][0]["lstrip"] = True
    with pytest.raises(ConfigError, match="strips its neighbours"):
        Tokenizer(Backend.from_str(json.dumps(raw)))
