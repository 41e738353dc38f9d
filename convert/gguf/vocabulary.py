"""Read a folder's tokenizer as llama.cpp's converter does: one text and one kind for every row of the embedding.

In: the folder's tokenizer files; the runtime's own rules say which added tokens count. Out: `TokenList`. Only Qwen's
splitting is taken, since llama.cpp knows splitters by name (`qwen2`) and would otherwise split silently in another way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.checkpoint.gguf_vocabulary import CONTROL, NORMAL, UNUSED, USER_DEFINED
from edge.config_json import read_json_object
from edge.errors import ConfigError
from edge.prompt.text.added_tokens import read_added_tokens
from edge.prompt.text.tokenizer import SPLIT_PATTERN

Json = Mapping[str, Any]  # Any: JSON, narrowed below


@dataclass(frozen=True, slots=True)
class TokenList:
    """Texts and kinds (llama.cpp's numbers), one per row of the embedding."""

    texts: list[str]
    kinds: list[int]


def read_tokens(folder: Path, *, num_rows: int) -> TokenList:
    """Read the tokens of a model folder.

    Args:
        folder: Holds the tokenizer's files.
        num_rows: Rows of the embedding; rows without a token become unused ones.

    Raises:
        ConfigError: Files are missing, the tokenizer is not Qwen's, or it has more tokens than rows.
    """
    vocabulary, added, stored = _read_files(folder)
    by_number = {number: text for text, number in vocabulary.items()}
    by_number |= {number: text for text, (number, _) in added.items()}
    highest = max([*by_number, *(number for number, _ in stored.values())], default=0)
    if highest >= num_rows:
        raise ConfigError(
            f"{folder}: the tokenizer has token {highest}, the embedding {num_rows} rows. "
            "Take tokenizer and weights from the same folder."
        )
    texts, kinds = [], []
    for number in range(num_rows):
        text = by_number.get(number)
        texts.append(f"[PAD{number}]" if text is None else text)
        kinds.append(UNUSED if text is None else _kind(text, added))
    return TokenList(texts, kinds)


def _kind(text: str, added: Mapping[str, tuple[int, bool]]) -> int:
    if text not in added:
        return NORMAL
    looks_special = text.startswith("<|") and text.endswith("|>")
    return CONTROL if added[text][1] or looks_special else USER_DEFINED


def _read_files(folder: Path) -> tuple[dict[str, int], dict[str, tuple[int, bool]], dict[str, tuple[int, bool]]]:
    """Return the vocabulary, the added tokens that count, and those that tokenizer.json names."""
    path = folder / "tokenizer.json"
    raw: Json = {}
    if path.exists():
        raw = read_json_object(path)
        model = raw.get("model")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
    else:
        path = folder / "vocab.json"
        vocabulary = read_json_object(path)
    if (
        not isinstance(vocabulary, dict)
        or not vocabulary
        or not all(type(number) is int for number in vocabulary.values())
    ):
        raise ConfigError(f"{path}: expected a vocabulary from token to number, found none. Download it again.")
    stored = _stored_tokens(raw, path)
    added = read_added_tokens(folder, stored)
    if not added.is_own:
        _check_splitting(raw, path)
    return vocabulary, added.numbered(vocabulary), stored


def _stored_tokens(raw: Json, path: Path) -> dict[str, tuple[int, bool]]:
    entries = [entry for entry in raw.get("added_tokens") or () if isinstance(entry, dict)]
    try:
        return {entry["content"]: (int(entry["id"]), bool(entry["special"])) for entry in entries}
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}: an added token lacks content, id or special. Download it again.") from None


def _check_splitting(raw: Json, path: Path) -> None:
    splitter = json.dumps(raw.get("pre_tokenizer"))
    normalizer = raw.get("normalizer")
    kind = normalizer.get("type") if isinstance(normalizer, dict) else None
    if json.dumps(SPLIT_PATTERN) not in splitter or kind != "NFC":
        raise ConfigError(
            f"{path}: expected Qwen's splitting of text and NFC, found another tokenizer; llama.cpp would split text "
            "differently. Take a Qwen3-VL checkpoint's own tokenizer."
        )
