"""Read model sizes and processor settings from the metadata of a GGUF pair.

In: metadata and tensor shapes of a text file and its projector. Out: the same `ModelConfig` and settings that a hub
folder gives. What GGUF does not say is fixed for every published Qwen3-VL (no dense layers among sparse ones, a
renormalized router, three colour channels) and checked against the tensors' shapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edge.checkpoint.files.gguf import GgufFile, Value
from edge.config import ModelConfig, ModelType, MoeConfig, RopeConfig, TextConfig, VisionConfig
from edge.config_json import MAX_LAYERS
from edge.errors import ConfigError, WeightError
from edge.settings import GenerationSettings, ImageSettings, VideoSettings

ARCHITECTURES: Mapping[str, ModelType] = {"qwen3vl": "qwen3_vl", "qwen3vlmoe": "qwen3_vl_moe"}
PROJECTOR_TYPE = "qwen3vl_merger"
SPECIAL_TOKENS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
# llama.cpp ends an answer at these, whatever the file's eos is; so does the hub's generation_config.json.
END_TOKENS = ("<|im_end|>", "<|endoftext|>")
MAX_SIZE = 2**31 - 1


class Metadata:
    """Typed access to GGUF metadata; errors name file and key."""

    def __init__(self, file: GgufFile) -> None:
        """Wrap the metadata of a file."""
        self.path: Path = file.path
        self.values: Mapping[str, Value] = file.metadata

    def get(self, key: str) -> Value:
        """Return a value.

        Raises:
            ConfigError: The key is missing.
        """
        if key not in self.values:
            raise ConfigError(f"{self.path}: the metadata has no {key}. Choose a file made by llama.cpp's converter.")
        return self.values[key]

    def size(self, key: str, default: int | None = None, *, most: int = MAX_SIZE) -> int:
        """Return a whole number from 1 to `most`; a list of equal numbers counts as one (head_count_kv per layer)."""
        value = default if default is not None and key not in self.values else self.get(key)
        if isinstance(value, list) and value and len(set(value)) == 1:
            value = value[0]
        if type(value) is not int or not 1 <= value <= most:
            raise self.wrong(key, f"a whole number from 1 to {most}", value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a positive number."""
        value = default if default is not None and key not in self.values else self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise self.wrong(key, "a positive number", value)
        return shortest(value)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string."""
        value = default if default is not None and key not in self.values else self.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a text", value)
        return value

    def texts(self, key: str) -> list[str]:
        """Return a list of strings."""
        value = self.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "a list of texts", value)
        return [str(item) for item in value]

    def integers(self, key: str) -> list[int]:
        """Return a list of whole numbers."""
        value = self.get(key)
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self.wrong(key, "a list of whole numbers", value)
        return [int(item) for item in value]

    def wrong(self, key: str, expected: str, found: object) -> ConfigError:
        """Make the error of a wrong value."""
        shown = repr(found)
        shown = shown if len(shown) <= 80 else shown[:80] + "..."
        return ConfigError(f"{self.path}: {key} should be {expected}, found {shown}. Download the file again.")


def read_config(text: GgufFile, projector: GgufFile) -> ModelConfig:
    """Describe the model of a pair.

    Raises:
        ConfigError: The metadata is incomplete, contradicts itself, or is not a Qwen3-VL's.
        WeightError: The projector belongs to another model.
    """
    meta = Metadata(text)
    architecture = meta.text("general.architecture")
    if architecture not in ARCHITECTURES:
        raise ConfigError(_explain_architecture(text, architecture))
    text_config = _read_text(meta, text, architecture)
    vision_config = _read_vision(Metadata(projector), projector)
    num_levels = meta.size(f"{architecture}.n_deepstack_layers", 3, most=MAX_LAYERS)
    _check_pair(text, projector, text_config, vision_config, num_levels)
    tokens = meta.texts("tokenizer.ggml.tokens")
    ids = _special_ids(meta, tokens)
    return ModelConfig(
        model_type=ARCHITECTURES[architecture],
        text=text_config,
        vision=vision_config,
        image_token_id=ids["image_token_id"],
        video_token_id=ids["video_token_id"],
        vision_start_token_id=ids["vision_start_token_id"],
        vision_end_token_id=ids["vision_end_token_id"],
        tie_word_embeddings="output.weight" not in text.tensors,
        eos_token_ids=_end_ids(meta, tokens),
        transformers_version=None,
        quantization=None,
        fp8=None,
    )


def read_settings(projector: GgufFile, config: ModelConfig) -> tuple[ImageSettings, VideoSettings]:
    """Read how pictures and videos are prepared; pixel limits are the checkpoints' own, as in their hub folders.

    A GGUF file has no limits for videos. Where it allows smaller pictures only than the published checkpoints do, its
    model knows no larger frames either, and each frame of a video is held to the same limit.

    Raises:
        ConfigError: A value has the wrong type.
    """
    meta = Metadata(projector)
    vision = config.vision
    mean, std = (_triple(meta, f"clip.vision.image_{name}") for name in ("mean", "std"))
    images = ImageSettings(
        patch_size=vision.patch_size,
        temporal_patch_size=vision.temporal_patch_size,
        merge_size=vision.spatial_merge_size,
        mean=mean,
        std=std,
    ).with_limits(
        min_pixels=_limit(meta, "clip.vision.image_min_pixels"), max_pixels=_limit(meta, "clip.vision.image_max_pixels")
    )
    videos = VideoSettings(
        patch_size=vision.patch_size,
        temporal_patch_size=vision.temporal_patch_size,
        merge_size=vision.spatial_merge_size,
        mean=mean,
        std=std,
        cap_pixels_per_frame=images.max_pixels < ImageSettings().max_pixels,
    )
    return images, replace(videos, max_frame_tokens=min(videos.max_frame_tokens, images.max_pixels // images.factor**2))


def read_generation(text: GgufFile, config: ModelConfig) -> GenerationSettings:
    """Read the sampling advice that llama.cpp's converter copies from generation_config.json.

    Raises:
        ConfigError: A value has the wrong type.
    """
    meta, default = Metadata(text), GenerationSettings()
    has_advice = any(key.startswith("general.sampling.") for key in meta.values)
    top_k = meta.values.get("general.sampling.top_k", default.top_k)
    if type(top_k) is not int or top_k < 0:
        raise meta.wrong("general.sampling.top_k", "a whole number", top_k)
    return GenerationSettings(
        do_sample=has_advice,
        temperature=meta.number("general.sampling.temp", default.temperature),
        top_p=meta.number("general.sampling.top_p", default.top_p),
        top_k=top_k,
        repetition_penalty=meta.number("general.sampling.penalty_repeat", default.repetition_penalty),
        eos_token_ids=config.eos_token_ids,
    )


def shortest(value: float) -> float:
    """Return the decimal that a float32 of the file was written as: 1e-06 and not 9.999999974752427e-07."""
    return float(f"{value:.7g}")


def _read_text(meta: Metadata, file: GgufFile, arch: str) -> TextConfig:
    num_layers = meta.size(f"{arch}.block_count", most=MAX_LAYERS)
    num_heads, num_kv_heads = meta.size(f"{arch}.attention.head_count"), meta.size(f"{arch}.attention.head_count_kv")
    if num_heads % num_kv_heads:
        raise meta.wrong(f"{arch}.attention.head_count", f"a multiple of head_count_kv {num_kv_heads}", num_heads)
    hidden_size = meta.size(f"{arch}.embedding_length")
    head_dim = meta.size(f"{arch}.attention.key_length", hidden_size // num_heads)
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise WeightError(f"{file.path}: expected token_embd.weight with two axes, found none. Download it again.")
    return TextConfig(
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        intermediate_size=meta.size(f"{arch}.feed_forward_length"),
        vocab_size=embedding.shape[0],
        max_position_embeddings=meta.size(f"{arch}.context_length"),
        rms_norm_eps=meta.number(f"{arch}.attention.layer_norm_rms_epsilon"),
        rope=_read_rope(meta, arch, head_dim),
        moe=_read_moe(meta, file, arch, num_layers) if ARCHITECTURES[arch] == "qwen3_vl_moe" else None,
    )


def _read_moe(meta: Metadata, file: GgufFile, arch: str, num_layers: int) -> MoeConfig:
    num_experts, active = meta.size(f"{arch}.expert_count"), meta.size(f"{arch}.expert_used_count")
    if active > num_experts:
        raise meta.wrong(f"{arch}.expert_used_count", f"at most expert_count {num_experts}", active)
    return MoeConfig(
        num_experts=num_experts,
        experts_per_token=active,
        intermediate_size=meta.size(f"{arch}.expert_feed_forward_length"),
        decoder_sparse_step=1,
        mlp_only_layers=tuple(n for n in range(num_layers) if f"blk.{n}.ffn_gate.weight" in file.tensors),
    )


def _read_rope(meta: Metadata, arch: str, head_dim: int) -> RopeConfig:
    key = f"{arch}.rope.dimension_sections"
    sections = meta.integers(key)
    if len(sections) not in (3, 4) or sum(sections) != head_dim // 2 or min(sections) < 0 or any(sections[3:]):
        raise meta.wrong(key, f"three numbers with sum {head_dim // 2}, then 0", sections)
    theta = meta.number(f"{arch}.rope.freq_base")
    section = (sections[0], sections[1], sections[2])
    scaling = meta.text(f"{arch}.rope.scaling.type", "none")
    if scaling == "none":
        return RopeConfig(theta=theta, mrope_section=section)
    if scaling != "yarn":
        raise meta.wrong(f"{arch}.rope.scaling.type", "none or yarn", scaling)
    prefix = f"{arch}.rope.scaling"
    has_factor = f"{prefix}.yarn_attn_factor" in meta.values
    return RopeConfig(
        theta=theta,
        mrope_section=section,
        rope_type="yarn",
        factor=meta.number(f"{prefix}.factor"),
        original_max_position_embeddings=meta.size(f"{prefix}.original_context_length"),
        beta_fast=meta.number(f"{prefix}.yarn_beta_fast", 32.0),
        beta_slow=meta.number(f"{prefix}.yarn_beta_slow", 1.0),
        attention_factor=meta.number(f"{prefix}.yarn_attn_factor") if has_factor else None,
    )


def _read_vision(meta: Metadata, file: GgufFile) -> VisionConfig:
    if meta.values.get("general.architecture") != "clip" or meta.values.get("clip.projector_type") != PROJECTOR_TYPE:
        found = meta.values.get("clip.projector_type", meta.values.get("general.architecture"))
        raise WeightError(
            f"{file.path}: expected a projector of type {PROJECTOR_TYPE}, found {found!r}. Choose another."
        )
    depth = meta.size("clip.vision.block_count", most=MAX_LAYERS)
    hidden, num_heads = meta.size("clip.vision.embedding_length"), meta.size("clip.vision.attention.head_count")
    if hidden % num_heads or hidden // num_heads % 4:
        raise meta.wrong("clip.vision.embedding_length", f"{num_heads} heads of a multiple of 4", hidden)
    marks = meta.get("clip.vision.is_deepstack_layers")
    if not isinstance(marks, list) or len(marks) != depth:
        raise meta.wrong("clip.vision.is_deepstack_layers", f"{depth} yes or no", marks)
    patch, shape = _patch_shape(file)
    positions = file.tensors.get("v.position_embd.weight")
    num_positions = positions.shape[0] if positions is not None else 0
    if positions is None or math.isqrt(num_positions) ** 2 != num_positions:
        raise WeightError(f"{file.path}: expected a square v.position_embd.weight, found {num_positions} rows.")
    return VisionConfig(
        depth=depth,
        hidden_size=hidden,
        intermediate_size=meta.size("clip.vision.feed_forward_length"),
        num_heads=num_heads,
        in_channels=shape[1],
        patch_size=meta.size("clip.vision.patch_size"),
        temporal_patch_size=patch,
        spatial_merge_size=meta.size("clip.vision.spatial_merge_size", 2),
        num_position_embeddings=num_positions,
        out_hidden_size=meta.size("clip.vision.projection_dim"),
        deepstack_indexes=tuple(index for index, mark in enumerate(marks) if mark),
    )


def _patch_shape(file: GgufFile) -> tuple[int, tuple[int, ...]]:
    frames = [name for name in file.tensors if re.fullmatch(r"v\.patch_embd\.weight(\.\d+)?", name)]
    shape = file.tensors[frames[0]].shape if frames else ()
    if len(frames) != 2 or len(shape) != 4:
        raise WeightError(
            f"{file.path}: expected v.patch_embd.weight and v.patch_embd.weight.1 with four axes, found {frames}. "
            "Choose a projector made by llama.cpp's converter."
        )
    return len(frames), shape


def _check_pair(
    text: GgufFile, projector: GgufFile, text_config: TextConfig, vision_config: VisionConfig, num_levels: int
) -> None:
    if vision_config.out_hidden_size != text_config.hidden_size:
        raise WeightError(
            f"{projector.path}: the projector gives {vision_config.out_hidden_size} numbers per token, the model in "
            f"{text.path.name} takes {text_config.hidden_size}. Choose the projector of the same model (--mmproj)."
        )
    found = len(vision_config.deepstack_indexes)
    if found != num_levels or found > text_config.num_layers:
        raise WeightError(
            f"{projector.path}: the projector has {found} DeepStack levels, the model in {text.path.name} takes "
            f"{num_levels}. Choose the projector of the same model (--mmproj)."
        )


def _explain_architecture(text: GgufFile, found: str) -> str:
    if found == "clip":
        return f"{text.path}: this is a projector. Give the text model with --model, and this file with --mmproj."
    if any(key.startswith(f"{found}.vision.") for key in text.metadata):
        return f"{text.path}: a single-file GGUF as Ollama makes it is not supported. Take Qwen's own pair of files."
    return f"{text.path}: expected architecture {' or '.join(ARCHITECTURES)}, found {found!r}. Choose a Qwen3-VL file."


def _special_ids(meta: Metadata, tokens: list[str]) -> dict[str, int]:
    places = {token: number for number, token in enumerate(tokens)}
    missing = [token for token in SPECIAL_TOKENS.values() if token not in places]
    if missing:
        raise ConfigError(f"{meta.path}: the vocabulary has no {missing[0]}. Choose a Qwen3-VL file.")
    return {name: places[token] for name, token in SPECIAL_TOKENS.items()}


def _end_ids(meta: Metadata, tokens: list[str]) -> tuple[int, ...]:
    known = [tokens.index(token) for token in END_TOKENS if token in tokens]
    eos = meta.values.get("tokenizer.ggml.eos_token_id")
    if eos is not None and (type(eos) is not int or not 0 <= eos < len(tokens)):
        raise meta.wrong("tokenizer.ggml.eos_token_id", f"a token number below {len(tokens)}", eos)
    return tuple(dict.fromkeys([*([eos] if type(eos) is int else []), *known]))


def _triple(meta: Metadata, key: str) -> tuple[float, float, float]:
    value = meta.get(key)
    numbers = [float(item) for item in value if isinstance(item, int | float)] if isinstance(value, list) else []
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or (key.endswith("std") and min(numbers) <= 0):
        raise meta.wrong(key, "three numbers", value)
    first, second, third = map(shortest, numbers)
    return first, second, third


def _limit(meta: Metadata, key: str) -> int | None:
    return meta.size(key) if key in meta.values else None
