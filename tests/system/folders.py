"""Write a tiny random checkpoint with everything `python -m edge.chat` needs, and break it in known ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge.config_json import model_config_from_dict
from edge.prompt.text.tokenizer import SPLIT_PATTERN, _byte_alphabet
from tests.unit.checkpoint.checkpoints import random_parameters, tiny_config_json, write_hub_folder

Json = dict[str, Any]  # Any: JSON

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
VISIBLE = ("<think>", "</think>")
IDS = {content: 256 + index for index, content in enumerate((*SPECIAL, *VISIBLE))}
PLACEHOLDERS = {"image": "<|image_pad|>", "video": "<|video_pad|>"}
TEMPLATE = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n"
    "{%- if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{%- if 'image' in c or c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif 'video' in c or c.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING_TEMPLATE = TEMPLATE.replace("assistant\n{%", "assistant\n<think>\n{%")


def config_json() -> Json:
    """A config whose vocabulary fits the tokenizer, with a context long enough to interrupt an answer."""
    raw = tiny_config_json()
    raw["text_config"] |= {"vocab_size": 272, "max_position_embeddings": 50_000}
    return raw | {
        "image_token_id": IDS["<|image_pad|>"],
        "video_token_id": IDS["<|video_pad|>"],
        "vision_start_token_id": IDS["<|vision_start|>"],
        "vision_end_token_id": IDS["<|vision_end|>"],
    }


def write_tiny_folder(folder: Path, *, num_shards: int = 1, template: str = TEMPLATE) -> Path:
    """Write a whole checkpoint folder."""
    raw = config_json()
    write_hub_folder(folder, raw, random_parameters(model_config_from_dict(raw)), num_shards=num_shards)
    write_json(folder / "tokenizer.json", tokenizer_json())
    size = {"shortest_edge": 256, "longest_edge": 4096}
    sizes = {"size": size, "patch_size": 4, "temporal_patch_size": 2, "merge_size": 2}
    norm = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    write_json(folder / "preprocessor_config.json", sizes | norm)
    write_json(folder / "video_preprocessor_config.json", sizes | norm)
    # An end token that greedy decoding of these weights does not choose soon.
    write_json(folder / "generation_config.json", {"do_sample": False, "eos_token_id": [IDS["<|endoftext|>"]]})
    (folder / "chat_template.jinja").write_text(template)
    return folder


def tokenizer_json() -> Json:
    """One token per byte, text split as Qwen splits it."""
    vocabulary = _byte_alphabet()
    split = {"type": "Split", "pattern": {"Regex": SPLIT_PATTERN}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    added = [
        {
            "id": token_id,
            "content": content,
            "special": content in SPECIAL,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for content, token_id in IDS.items()
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [], "dropout": None, "unk_token": None},
    }


def edit_config(folder: Path, *keys: str, value: object) -> Path:
    """Set a (nested) value of config.json."""
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    section = raw
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    write_json(path, raw)
    return folder


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))
