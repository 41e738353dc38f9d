"""Tiny checkpoints with tokenizer, template and settings, for the verifier: MoE and dense, and conversations."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from edge.config_json import model_config_from_dict
from tests.system.folders import config_json, tokenizer_json, write_json
from tests.system.folders import write_tiny_folder as write_moe_folder
from tests.unit.checkpoint.checkpoints import (
    Json,
    Parameters,
    random_parameters,
    tiny_config_json,
    write_hub_folder,
    write_mlx_folder,
)

Kind = Literal["moe", "dense"]
KINDS: tuple[Kind, ...] = ("moe", "dense")
SETTINGS = (
    "tokenizer.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "generation_config.json",
    "chat_template.jinja",
)


def raw_config(kind: Kind) -> Json:
    """Return config.json; sparse layers 0, 2 and 3, DeepStack behind layers 0 and 1."""
    raw = config_json()
    raw["text_config"]["num_hidden_layers"] = 4
    if kind == "dense":
        plain = tiny_config_json(is_moe=False, is_tied=True)
        text = plain["text_config"] | {"vocab_size": 272, "num_hidden_layers": 4, "max_position_embeddings": 50_000}
        raw = raw | plain | {key: raw[key] for key in raw if key.endswith("_token_id")} | {"text_config": text}
    return raw


def parameters(kind: Kind, *, seed: int = 0) -> Parameters:
    """Return random weights."""
    return random_parameters(model_config_from_dict(raw_config(kind)), seed=seed)


def write_source(folder: Path, kind: Kind, *, seed: int = 0) -> Path:
    """Write a hub folder, complete with tokenizer and settings."""
    write_moe_folder(folder)
    (folder / "model.safetensors").unlink()
    return write_hub_folder(folder, raw_config(kind), parameters(kind, seed=seed))


def write_candidate(
    folder: Path, kind: Kind, weights: Parameters, *, quantization: Json | None = None, plain: tuple[str, ...] = ()
) -> Path:
    """Write an MLX folder of given weights; with `quantization` all decoder matrices but `plain` are packed."""
    write_moe_folder(folder)
    (folder / "model.safetensors").unlink()
    return write_mlx_folder(
        folder, raw_config(kind), weights, quantization=quantization, plain=("vision_tower.", *plain)
    )


def other_tokenizer(folder: Path) -> Path:
    """Exchange two letters of a folder's vocabulary."""
    raw = tokenizer_json()
    vocabulary = raw["model"]["vocab"]
    vocabulary["a"], vocabulary["e"] = vocabulary["e"], vocabulary["a"]
    write_json(folder / "tokenizer.json", raw)
    return folder


def picture(height: int, width: int, seed: int) -> Image.Image:
    """Return a picture of noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def write_prompts(folder: Path, *, names: Collection[str] = ("words", "image", "two", "clip", "both")) -> Path:
    """Write a prompt file of these kinds: text, one picture, two, a video, picture and video together."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, height, width in (("first", 16, 24), ("second", 40, 24), *((f"frame{i}", 24, 40) for i in range(5))):
        picture(height, width, seed=len(name) + height + ord(name[-1])).save(folder / f"{name}.png")
    first, second = ({"type": "image", "image": f"{name}.png"} for name in ("first", "second"))
    clip = {"type": "video", "video": [f"frame{i}.png" for i in range(5)], "frame_rate": 2.0}
    lines = [
        _ask("words", "text"),
        _ask("image", "image", first),
        _ask("two", "images", first, second),
        _ask("clip", "video", clip),
        _ask("both", "video", second, clip),
    ]
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines if line["name"] in names))
    return path


def _ask(name: str, kind: str, *parts: Json) -> Json:
    asked = {"role": "user", "content": [*parts, {"type": "text", "text": "what is it?"}]}
    return {"name": name, "kind": kind, "messages": [asked, {"role": "assistant", "content": f"a {name}"}]}
