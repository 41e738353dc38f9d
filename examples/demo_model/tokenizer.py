"""A byte-level BPE of about 1,000 tokens, trained on the demo's own sentences, with Qwen's 26 added tokens.

In: the text of many generated questions. Out: a folder with tokenizer.json, vocab.json and merges.txt. Two rules keep
reading easy: a digit is one token (Qwen's own rule), and a capital letter never merges with what stands before it, so
words on signs are spelled letter by letter.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

BASE_TOKENS = 998
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ADDED = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>",
    "</think>",
)  # fmt: skip
NUM_SPECIAL = 14  # the first 14 are special=true, as in the real tokenizer_config.json


def train_bpe(texts: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Learn merges until the vocabulary is full.

    Returns:
        Vocabulary (token to id) and merges in order.
    """
    words = _count_words(texts)
    vocabulary = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    while len(vocabulary) < BASE_TOKENS:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, number in words.items():
            for pair in itertools.pairwise(word):
                if not "A" <= pair[1][0] <= "Z":
                    pairs[pair] += number
        if not pairs:
            vocabulary += [f"<unused{i}>" for i in range(BASE_TOKENS - len(vocabulary))]
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        if "".join(best) not in vocabulary:
            vocabulary.append("".join(best))
        words = Counter({_merge(word, best): number for word, number in words.items()})
    return {token: index for index, token in enumerate(vocabulary)}, merges


def build(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Assemble the tokenizer from its parts as Qwen's tokenizer.json does."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _splitter()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokens = [AddedToken(text, special=index < NUM_SPECIAL, normalized=False) for index, text in enumerate(ADDED)]
    tokenizer.add_tokens(tokens)
    return tokenizer


def save(folder: Path, texts: list[str]) -> Tokenizer:
    """Train on `texts` and write tokenizer.json, vocab.json and merges.txt."""
    vocabulary, merges = train_bpe(texts)
    tokenizer = build(vocabulary, merges)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tokenizer


def _splitter() -> pre_tokenizers.Sequence:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _count_words(texts: list[str]) -> Counter[tuple[str, ...]]:
    """Count pre-tokens, without the added tokens and without words in capitals."""
    splitter = _splitter()
    counts: Counter[str] = Counter()
    for text in texts:
        for token in ADDED:
            text = text.replace(token, "\n\n\n")
        counts.update(word for word, _ in splitter.pre_tokenize_str(text))
    return Counter({tuple(word): number for word, number in counts.items() if not _shouts(word)})


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    index = 0
    while index < len(word):
        if word[index : index + 2] == pair:
            merged.append(pair[0] + pair[1])
            index += 2
        else:
            merged.append(word[index])
            index += 1
    return tuple(merged)


def _shouts(word: str) -> bool:
    return len(word) > 1 and all("A" <= char <= "Z" for char in word[1:]) and not word[0].islower()
