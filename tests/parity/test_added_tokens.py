"""What a folder's files add to its vocabulary is what transformers takes them to add."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from edge.loading import DEMO_FOLDER
from edge.prompt.text import tokenizer as tokenizer_module
from edge.prompt.text.added_tokens import AddedTokens, Table
from edge.prompt.text.tokenizer import Tokenizer

Json = dict[str, Any]  # Any: JSON
TEXTS = (
    "Hello <|im_end|> <think>\n\n  <new> déjà 123 e\u0301 </think><|more|>",
    "don't <tool_call>{}</tool_call> <old><|image_pad|> x   y\n z",
)


def entry(content: str, *, special: bool = False) -> Json:
    return {"content": content, **dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)} | {
        "special": special
    }


def folder_of(folder: Path, change: Callable[[Json, Json], Json | None]) -> Path:
    """Copy the demo's tokenizer; `change` gets tokenizer_config.json and tokenizer.json, and returns more files."""
    config = json.loads((DEMO_FOLDER / "tokenizer_config.json").read_text())
    tokenizer = json.loads((DEMO_FOLDER / "tokenizer.json").read_text())
    config.pop("chat_template", None)
    more = change(config, tokenizer) or {}
    shutil.copy(DEMO_FOLDER / "config.json", folder)
    for name, value in {"tokenizer_config.json": config, "tokenizer.json": tokenizer, **more}.items():
        (folder / name).write_text(json.dumps(value))
    return folder


def add(config: Json, content: str, *, special: bool = False) -> None:
    table = config["added_tokens_decoder"]
    table[str(max(map(int, table)) + 1)] = entry(content, special=special)


def nothing(config: Json, tokenizer: Json) -> None:
    """Leave all as it is."""


def added(config: Json, tokenizer: Json) -> None:
    add(config, "<new>")


def removed(config: Json, tokenizer: Json) -> None:
    config["added_tokens_decoder"].pop("1023")  # </think>, which stays in tokenizer.json


def other_kind(config: Json, tokenizer: Json) -> None:
    config["added_tokens_decoder"]["1022"]["special"] = True


def named_only(config: Json, tokenizer: Json) -> None:
    config["additional_special_tokens"] = ["<|more|>"]
    config["pad_token"] = "<|pad|>"


def a_word(config: Json, tokenizer: Json) -> None:
    config["additional_special_tokens"] = ["H"]


def older_files(config: Json, tokenizer: Json) -> Json:
    del config["added_tokens_decoder"]
    tokens = {"eos_token": entry("<|im_end|>"), "additional_special_tokens": ["<|more|>"], "pad_token": "<|p|>"}
    return {"added_tokens.json": {"<old>": 1024, "<think>": 1022}, "special_tokens_map.json": tokens}


def only_the_file(config: Json, tokenizer: Json) -> None:
    del config["added_tokens_decoder"]
    tokenizer["added_tokens"].append({"id": 1024, **entry("<new>")})
    config["extra_special_tokens"] = ["<|more|>"]


def named_by_the_model(config: Json, tokenizer: Json) -> None:
    config["frame_token"] = "<|frame|>"
    config["image_token"] = "<|image_pad|>"


def named_list(config: Json, tokenizer: Json) -> None:
    del config["added_tokens_decoder"]
    config["extra_special_tokens"] = {"image_token": "<|image_pad|>", "more_token": "<|more|>"}


def class_of_the_file(config: Json, tokenizer: Json) -> None:
    config["tokenizer_class"] = "TokenizersBackend"
    add(config, "<new>", special=True)
    config["added_tokens_decoder"].pop("1023")


def class_of_the_file_and_its_splitting(config: Json, tokenizer: Json) -> None:
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    tokenizer["pre_tokenizer"] = {**tokenizer["pre_tokenizer"]["pretokenizers"][1], "use_regex": True}


def another_splitting(config: Json, tokenizer: Json) -> None:
    tokenizer["pre_tokenizer"] = {**tokenizer["pre_tokenizer"]["pretokenizers"][1], "use_regex": True}
    tokenizer["normalizer"] = {"type": "Lowercase"}


def no_class(config: Json, tokenizer: Json) -> None:
    del config["tokenizer_class"]
    add(config, "<new>")


def a_length(config: Json, tokenizer: Json) -> None:
    tokenizer["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}


CASES = (
    *(
        nothing,
        added,
        removed,
        other_kind,
        named_only,
        a_word,
        older_files,
        only_the_file,
        named_list,
        named_by_the_model,
    ),
    *(class_of_the_file, class_of_the_file_and_its_splitting, another_splitting, no_class, a_length),
)


def tables_and_ids(folder: Path) -> tuple[tuple[object, ...], tuple[object, ...]]:
    theirs: Any = AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.from_folder(folder)
    found = (ours.added_tokens, ours.special_ids, [ours.encode(text) for text in TEXTS])
    decoder = theirs.added_tokens_decoder
    wanted = (
        {token.content: number for number, token in decoder.items()},
        {token.content: number for number, token in decoder.items() if token.special},
        [theirs(text)["input_ids"] for text in TEXTS],
    )
    return found, wanted


@pytest.mark.parametrize("case", CASES)
def test_added_tokens_are_those_of_the_reference(case: Callable[[Json, Json], Json | None], tmp_path: Path) -> None:
    found, wanted = tables_and_ids(folder_of(tmp_path, case))
    assert found == wanted


@pytest.mark.parametrize("case", [added, removed, other_kind, named_only, class_of_the_file, another_splitting])
def test_tokenizer_json_by_itself_would_differ(
    case: Callable[[Json, Json], Json | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_itself(_folder: Path, stored: Table) -> AddedTokens:
        return AddedTokens(stored, (), is_own=False, keeps_ends=False)

    monkeypatch.setattr(tokenizer_module, "read_added_tokens", by_itself)
    found, wanted = tables_and_ids(folder_of(tmp_path, case))
    assert found != wanted
