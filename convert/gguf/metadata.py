"""Write the metadata of the two files, key by key as llama.cpp's converter does.

In: a checked checkpoint and the tensors a file will have. Out: keys with values and types, in the converter's order.
Name, size label and sampling advice come from `gguf`'s own `Metadata`, special tokens from its `SpecialVocab`.
"""

from __future__ import annotations

import logging
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from convert.gguf.types import FileType
from convert.gguf.vocabulary import read_tokens
from edge.checkpoint.names.ops import Shape
from edge.config import ModelConfig, RopeConfig
from edge.errors import ConfigError, EdgeError
from edge.prompt.text.template import find_template
from edge.settings import ImageSettings, read_generation_settings, read_image_settings

QUANTIZATION_VERSION = 2
_TYPES = gguf.GGUFValueType
_CODES = {
    _TYPES.UINT8: "B",
    _TYPES.INT8: "b",
    _TYPES.UINT16: "H",
    _TYPES.INT16: "h",
    _TYPES.UINT32: "I",
    _TYPES.INT32: "i",
    _TYPES.FLOAT32: "f",
    _TYPES.UINT64: "Q",
    _TYPES.INT64: "q",
    _TYPES.FLOAT64: "d",
    _TYPES.BOOL: "?",
}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Keys of a file, in order, as the bytes that stand in it."""

    num: int
    data: bytes


@contextmanager
def explain_readers(folder: Path) -> Iterator[None]:
    """Turn what gguf's readers and packers raise at odd files into one line; they check nothing themselves.

    Raises:
        ConfigError: A file holds something else than expected.
    """
    try:
        yield
    except EdgeError:
        raise
    except Exception as error:  # whatever they come across: types, ranges, encodings, YAML of a model card
        found = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise ConfigError(
            f"{folder}: the tokenizer's, sampling's or processor's files or README.md hold what no GGUF can ({found}). "
            "Download them again."
        ) from error


def text_pairs(
    folder: Path, config: ModelConfig, *, name: str, file_type: FileType, shapes: Mapping[str, Shape]
) -> Pairs:
    """Write the keys of the text file.

    Args:
        folder: Where tokenizer, template and generation settings lie.
        config: The checkpoint.
        name: The model's, such as Qwen3-VL-4B-Instruct; the folder's may be that of a cache.
        file_type: Stored as `general.file_type`.
        shapes: Tensors of the file; they decide the size label.

    Raises:
        ConfigError: The tokenizer is missing or not Qwen's, a sampling setting is no number, or llama.cpp cannot run
            such a model.
        PromptError: There is no chat template, or it is not valid.
    """
    text = config.text
    read_generation_settings(folder)  # gguf's own reader takes values of any type, and fails when it writes them
    if text.moe is not None and not all(text.is_sparse_layer(index) for index in range(text.num_layers)):
        raise ConfigError(f"{folder}: llama.cpp runs no model with dense layers among sparse ones. Use convert mlx.")
    writer = _start(folder, "qwen3vl" if text.moe is None else "qwen3vlmoe", "model", shapes, name)
    writer.add_block_count(text.num_layers)
    writer.add_context_length(text.max_position_embeddings)
    writer.add_embedding_length(text.hidden_size)
    writer.add_feed_forward_length(text.intermediate_size)
    writer.add_head_count(text.num_heads)
    writer.add_head_count_kv(text.num_kv_heads)
    _add_rope(writer, text.rope)
    writer.add_layer_norm_rms_eps(text.rms_norm_eps)
    if text.moe is not None:
        writer.add_expert_count(text.moe.num_experts)
        writer.add_expert_used_count(text.moe.experts_per_token)
    writer.add_key_length(text.head_dim)
    writer.add_value_length(text.head_dim)
    writer.add_file_type(file_type.number)
    if text.moe is not None:
        writer.add_expert_feed_forward_length(text.moe.intermediate_size)
    writer.add_num_deepstack_layers(len(config.vision.deepstack_indexes))
    writer.add_quantization_version(QUANTIZATION_VERSION)
    _add_tokenizer(writer, folder, text.vocab_size)
    return _finish(writer)


def projector_pairs(
    folder: Path, config: ModelConfig, *, name: str, file_type: FileType, shapes: Mapping[str, Shape]
) -> Pairs:
    """Write the keys of the projector file; arguments as for `text_pairs`.

    Raises:
        ConfigError: The processor's settings are missing or not Qwen3-VL's.
    """
    vision, images = config.vision, read_image_settings(folder)
    if vision.temporal_patch_size != 2:
        raise ConfigError(f"{folder}: llama.cpp takes 2 frames per patch, found {vision.temporal_patch_size}.")
    writer = _start(folder, "clip", "mmproj", shapes, name)
    writer.add_file_type(file_type.number)
    writer.add_clip_has_vision_encoder(True)
    writer.add_vision_projection_dim(config.text.hidden_size)
    writer.add_vision_image_size(vision.position_side * vision.patch_size)
    writer.add_vision_patch_size(vision.patch_size)
    writer.add_vision_embedding_length(vision.hidden_size)
    writer.add_vision_feed_forward_length(vision.intermediate_size)
    writer.add_vision_block_count(vision.depth)
    writer.add_vision_head_count(vision.num_heads)
    writer.add_vision_image_mean(images.mean)
    writer.add_vision_image_std(images.std)
    writer.add_clip_projector_type("qwen3vl_merger")
    writer.add_vision_use_gelu(True)
    writer.add_vision_spatial_merge_size(vision.spatial_merge_size)
    writer.add_vision_attention_layernorm_eps(config.text.rms_norm_eps)
    writer.add_vision_is_deepstack_layers([index in vision.deepstack_indexes for index in range(vision.depth)])
    _add_limits(writer, images)
    writer.add_quantization_version(QUANTIZATION_VERSION)
    return _finish(writer)


def split_pairs(pairs: Pairs | None, *, index: int, num_parts: int, num_tensors: int) -> Pairs:
    """Add the keys of a split file; only the first part (`pairs` given) has the others too."""
    keys = (
        ("split.no", _TYPES.UINT16, index),
        ("split.count", _TYPES.UINT16, num_parts),
        ("split.tensors.count", _TYPES.INT32, num_tensors),
    )
    data = b"".join(_packed_pair(key, gguf.gguf_writer.GGUFValue(value, kind)) for key, kind, value in keys)
    return Pairs((pairs.num if pairs else 0) + len(keys), (pairs.data if pairs else b"") + data)


def packed_text(text: str) -> bytes:
    """Write a string: its length, then UTF-8."""
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


# Any: gguf has no annotations that hold under strict checking.
def _start(folder: Path, architecture: str, kind: str, shapes: Mapping[str, Shape], model_name: str) -> Any:
    logging.getLogger("gguf").setLevel(logging.ERROR)  # it reports every key it sets
    writer = gguf.GGUFWriter(None, architecture)
    for name, shape in shapes.items():
        writer.add_tensor_info(name, shape, np.dtype(np.float32), 0)
    total, shared, per_expert, num_experts = writer.get_total_parameter_count()
    with tempfile.TemporaryDirectory() as place:
        named = Path(place) / model_name  # gguf reads names off the folder's own
        named.symlink_to(folder.absolute())
        metadata = gguf.Metadata.load(None, named, None, total)
    metadata.name = metadata.name or model_name
    metadata.size_label = metadata.size_label or gguf.size_label(total, shared, per_expert, num_experts)
    writer.add_type(kind)
    metadata.set_gguf_meta_model(writer)
    return writer


def _finish(writer: Any) -> Pairs:  # Any: as above
    values = writer.kv_data[0]
    return Pairs(len(values), b"".join(_packed_pair(key, value) for key, value in values.items()))


def _add_rope(writer: Any, rope: RopeConfig) -> None:  # Any: as above
    if rope.rope_type == "yarn":
        if not rope.truncate:
            raise ConfigError(
                "YaRN with truncate false cannot be written: llama.cpp always truncates. Use convert mlx."
            )
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope.factor)
        writer.add_rope_scaling_orig_ctx_len(rope.original_max_position_embeddings)
        if rope.attention_factor is not None:
            writer.add_rope_scaling_yarn_attn_factor(rope.attention_factor)
        writer.add_rope_scaling_yarn_beta_fast(rope.beta_fast)
        writer.add_rope_scaling_yarn_beta_slow(rope.beta_slow)
    writer.add_rope_dimension_sections([*rope.mrope_section, 0])
    writer.add_rope_freq_base(rope.theta)


def _add_limits(writer: Any, images: ImageSettings) -> None:  # Any: as above
    """Keep pixel limits that differ from the published models'; llama.cpp leaves these two keys unread here."""
    default = ImageSettings()
    if (images.min_pixels, images.max_pixels) != (default.min_pixels, default.max_pixels):
        writer.add_vision_max_pixels(images.max_pixels)
        writer.add_vision_min_pixels(images.min_pixels)


def _add_tokenizer(writer: Any, folder: Path, num_rows: int) -> None:  # Any: as above
    tokens = read_tokens(folder, num_rows=num_rows)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens.texts)
    writer.add_token_types(tokens.kinds)
    special = gguf.SpecialVocab(folder, load_merges=True)
    special.chat_template = _templates(folder, special.chat_template)
    special.add_to_gguf(writer, quiet=True)


def _templates(folder: Path, found: Any) -> Any:  # Any: as above
    """Return the template that the folder is used with, and others that have a name of their own.

    gguf's reader prefers what stands in tokenizer_config.json, also where chat_template.jinja was corrected since.
    """
    source = find_template(folder).source
    if not isinstance(found, list):
        return source
    return [{"name": "default", "template": source}, *(entry for entry in found if entry.get("name") != "default")]


def _packed_pair(key: str, value: Any) -> bytes:  # Any: as above
    return packed_text(key) + struct.pack("<I", value.type) + _packed(value.value, value.type, value.sub_type)


def _packed(value: Any, kind: Any, item_kind: Any) -> bytes:  # Any: as above
    if kind == _TYPES.STRING:
        return packed_text(value)
    if kind != _TYPES.ARRAY:
        return struct.pack(f"<{_CODES[kind]}", value)
    items: Sequence[Any] = value
    item_kind = _TYPES.get_type(items[0]) if item_kind is None else item_kind
    head = struct.pack("<IQ", item_kind, len(items))
    if item_kind == _TYPES.STRING:
        return head + b"".join(map(packed_text, items))
    return head + struct.pack(f"<{len(items)}{_CODES[item_kind]}", *items)
