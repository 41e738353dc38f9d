"""Write the files beside the weights of a repacked folder: config, tokenizer, template and settings, from metadata."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from convert.mlx.config_out import make_config
from edge.checkpoint.gguf_config import read_generation, read_settings
from edge.checkpoint.gguf_vocabulary import Vocabulary, read_vocabulary
from edge.checkpoint.names.hub import expected_parameters
from edge.checkpoint.pair import GgufPair
from edge.plan.recipes import Choice
from edge.prompt.text.tokenizer import SPLIT_PATTERN
from edge.settings import ImageSettings, VideoSettings

Json = dict[str, Any]  # Any: JSON


def write_companions(pair: GgufPair, folder: Path) -> list[str]:
    """Write everything but the weights; return the names.

    Args:
        pair: The checked files.
        folder: The output.

    Raises:
        ConfigError: The metadata lacks something, or is not Qwen3-VL's.
    """
    vocabulary = read_vocabulary(pair.text)
    images, videos = read_settings(pair.projector, pair.config)
    files: dict[str, Json] = {
        "config.json": _config_json(pair),
        "tokenizer.json": _tokenizer_json(vocabulary),
        "tokenizer_config.json": _tokenizer_config_json(vocabulary),
        "preprocessor_config.json": _processor_json(images) | {"image_processor_type": "Qwen2VLImageProcessorFast"},
        "video_preprocessor_config.json": _processor_json(videos) | {"video_processor_type": "Qwen3VLVideoProcessor"},
        "generation_config.json": _generation_json(pair),
    }
    for name, raw in files.items():
        (folder / name).write_text(json.dumps(raw, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(vocabulary.template, encoding="utf-8")
    return [*files, "chat_template.jinja"]


def stored_forms(pair: GgufPair) -> dict[str, Choice]:
    """Return how each parameter is stored: in the packed form of its blocks, or as floats."""
    packed = pair.packed_modules()
    return {name: Choice(packed.get(name.removesuffix(".weight"))) for name in expected_parameters(pair.config)}


def _config_json(pair: GgufPair) -> Json:
    counts = Counter(pair.packed_modules().values())
    base = counts.most_common(1)[0][0] if counts else None
    ids = {"eos_token_id": list(pair.config.eos_token_ids)}
    return make_config(pair.config, ids, base=base, choices=stored_forms(pair))


def _tokenizer_json(vocabulary: Vocabulary) -> Json:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT_PATTERN}, "behavior": "Isolated", "invert": False}
    added = [
        {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": is_special}
        for content, (number, is_special) in sorted(vocabulary.added.items(), key=lambda item: item[1])
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary.tokens,
            "merges": [list(pair) for pair in vocabulary.merges],
        },
    }


def _tokenizer_config_json(vocabulary: Vocabulary) -> Json:
    decoder = {
        str(number): {"content": content, "lstrip": False, "normalized": False, "rstrip": False}
        | {"single_word": False, "special": is_special}
        for content, (number, is_special) in sorted(vocabulary.added.items(), key=lambda item: item[1])
    }
    return {
        "add_bos_token": False,
        "added_tokens_decoder": decoder,
        "bos_token": None,
        "chat_template": vocabulary.template,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
    }


def _processor_json(settings: ImageSettings | VideoSettings) -> Json:
    return {
        "size": {"shortest_edge": settings.min_pixels, "longest_edge": settings.max_pixels},
        "patch_size": settings.patch_size,
        "temporal_patch_size": settings.temporal_patch_size,
        "merge_size": settings.merge_size,
        "image_mean": list(settings.mean),
        "image_std": list(settings.std),
    }


def _generation_json(pair: GgufPair) -> Json:
    settings = read_generation(pair.text, pair.config)
    return {
        "do_sample": settings.do_sample,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "repetition_penalty": settings.repetition_penalty,
        "eos_token_id": list(settings.eos_token_ids),
    }
