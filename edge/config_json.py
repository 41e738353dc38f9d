"""Read a checkpoint's `config.json` into a `ModelConfig`.

In: the JSON of a hub, transformers-5 or MLX folder. Out: frozen dataclasses. What the runtime does not
support is refused here by name, so that nothing below has to ask.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.config import (
    Fp8Config,
    LayerQuantization,
    ModelConfig,
    MoeConfig,
    QuantizationConfig,
    TextConfig,
    VisionConfig,
)
from edge.config_rope import check_vision_rope, read_rope
from edge.errors import ConfigError
from edge.json_reader import CHECK, OTHER, Json, JsonReader
from edge.lfs import refuse_pointer

MODEL_TYPES = ("qwen3_vl", "qwen3_vl_moe")
MAX_LAYERS = 4096  # names of every layer are listed, so a number from a file needs a bound

# MLX's packed forms: mode -> group sizes and bits it has, the first of each being MLX's default
PACKED_FORMS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "affine": ((64, 32, 128), (4, 2, 3, 5, 6, 8)),
    "mxfp4": ((32,), (4,)),
    "mxfp8": ((32,), (8,)),
    "nvfp4": ((16,), (4,)),
}
DENSE_HEAD_DIM = 128  # what transformers takes where a dense model's file names none
_CODE_KEYS = ("auto_map", "model_file", "trust_remote_code", "custom_pipelines")


def model_config_from_file(path: Path) -> ModelConfig:
    """Read `config.json`.

    Raises:
        ConfigError: The file is missing, not JSON, or not a supported model.
    """
    return model_config_from_dict(read_json_object(path), where=str(path))


def model_config_from_dict(raw: Json, *, where: str = "config.json") -> ModelConfig:
    """Read a parsed `config.json`.

    Args:
        raw: The JSON object, in the hub, transformers-5 or mlx-community spelling.
        where: Name of the file, for messages.

    Raises:
        ConfigError: A key is missing, or a value is not supported.
    """
    reader = JsonReader(raw, where)
    _refuse_code(raw, where)
    model_type = reader.choice("model_type", MODEL_TYPES)
    if "text_config" not in raw or "vision_config" not in raw:
        raise ConfigError(
            f"{where}: expected text_config and vision_config (a Qwen3-VL checkpoint), "
            f"found keys {', '.join(sorted(raw)[:8])}. Choose a Qwen3-VL folder."
        )
    text_reader = reader.child("text_config")
    text = _read_text(text_reader, is_moe=model_type == "qwen3_vl_moe")
    vision = _read_vision(reader.child("vision_config"), text=text)
    return ModelConfig(
        model_type="qwen3_vl_moe" if model_type == "qwen3_vl_moe" else "qwen3_vl",
        text=text,
        vision=vision,
        image_token_id=reader.integer("image_token_id", 151655),
        video_token_id=reader.integer("video_token_id", 151656),
        vision_start_token_id=reader.integer("vision_start_token_id", 151652),
        vision_end_token_id=reader.integer("vision_end_token_id", 151653),
        # The top level decides: re-saved text configs can say the opposite.
        tie_word_embeddings=reader.flag("tie_word_embeddings", text_reader.flag("tie_word_embeddings", False)),
        eos_token_ids=reader.ids("eos_token_id") or text_reader.ids("eos_token_id"),
        transformers_version=str(raw["transformers_version"]) if raw.get("transformers_version") else None,
        quantization=_read_quantization(reader),
        fp8=_read_fp8(reader),
    )


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that must hold an object.

    Raises:
        ConfigError: The file is missing, cannot be parsed, or holds something else.
    """
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: expected a file, found a folder, pipe or device. Download it again.")
        raw = path.read_bytes()
        refuse_pointer(raw, path)
        value = json.loads(raw.decode())
    except FileNotFoundError:
        raise ConfigError(f"{path}: file not found. Expected a model folder with {path.name}.") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable JSON file ({error}). Download it again.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(value).__name__}. Download it again.")
    return value


def _read_text(reader: JsonReader, *, is_moe: bool) -> TextConfig:
    reader.choice("hidden_act", ("silu",), "silu")
    reader.only("attention_bias", False)
    # sliding_window and use_sliding_window stay unread, as in the reference: this architecture attends to everything.
    hidden_size, num_heads = reader.size("hidden_size"), reader.size("num_attention_heads")
    num_kv_heads = reader.size("num_key_value_heads") if reader.raw.get("num_key_value_heads") else num_heads
    usual = hidden_size // num_heads if is_moe or "head_dim" in reader.raw else DENSE_HEAD_DIM
    head_dim = reader.size("head_dim") if reader.raw.get("head_dim") else usual
    if num_heads % num_kv_heads:
        raise ConfigError(
            f"{reader.where}: num_attention_heads {num_heads} should be a multiple of num_key_value_heads "
            f"{num_kv_heads}. {CHECK}"
        )
    return TextConfig(
        hidden_size=hidden_size,
        num_layers=reader.size("num_hidden_layers", most=MAX_LAYERS),
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        intermediate_size=reader.size("intermediate_size"),
        vocab_size=reader.size("vocab_size"),
        max_position_embeddings=reader.size("max_position_embeddings"),
        rms_norm_eps=reader.number("rms_norm_eps"),
        rope=read_rope(reader, head_dim),
        moe=_read_moe(reader) if is_moe else None,
    )


def _read_moe(reader: JsonReader) -> MoeConfig:
    reader.only("norm_topk_prob", True)
    num_experts, experts_per_token = reader.size("num_experts", "num_local_experts"), reader.size("num_experts_per_tok")
    if experts_per_token > num_experts:
        raise ConfigError(
            f"{reader.where}: num_experts_per_tok {experts_per_token} exceeds num_experts {num_experts}. {CHECK}"
        )
    return MoeConfig(
        num_experts=num_experts,
        experts_per_token=experts_per_token,
        intermediate_size=reader.size("moe_intermediate_size"),
        decoder_sparse_step=reader.integer("decoder_sparse_step", 1, least=1),
        mlp_only_layers=reader.integers("mlp_only_layers") if reader.raw.get("mlp_only_layers") else (),
    )


def _read_vision(reader: JsonReader, *, text: TextConfig) -> VisionConfig:
    reader.choice("hidden_act", ("gelu_pytorch_tanh",), "gelu_pytorch_tanh")
    check_vision_rope(reader)
    config = VisionConfig(
        depth=reader.size("depth", most=MAX_LAYERS),
        hidden_size=reader.size("hidden_size"),
        intermediate_size=reader.size("intermediate_size"),
        num_heads=reader.size("num_heads"),
        in_channels=reader.integer("in_channels", 3, least=1),
        patch_size=reader.size("patch_size"),
        temporal_patch_size=reader.size("temporal_patch_size"),
        spatial_merge_size=reader.size("spatial_merge_size"),
        num_position_embeddings=reader.size("num_position_embeddings"),
        out_hidden_size=reader.size("out_hidden_size"),
        deepstack_indexes=reader.integers("deepstack_visual_indexes"),
    )
    _check_vision(config, text, reader)
    return config


def _check_vision(config: VisionConfig, text: TextConfig, reader: JsonReader) -> None:
    levels = config.deepstack_indexes
    if config.position_side**2 != config.num_position_embeddings:
        raise reader.wrong("num_position_embeddings", "a square number", config.num_position_embeddings)
    if config.hidden_size % config.num_heads or config.head_dim % 4:
        raise reader.wrong(
            "hidden_size", f"{config.num_heads} heads of a multiple of 4 (num_heads)", config.hidden_size
        )
    if list(levels) != sorted(set(levels)) or any(not 0 <= index < config.depth for index in levels):
        raise reader.wrong(
            "deepstack_visual_indexes", f"increasing layer numbers below depth {config.depth}", list(levels)
        )
    if len(levels) > text.num_layers:
        raise reader.wrong(
            "deepstack_visual_indexes", f"at most {text.num_layers} numbers, one per decoder layer", list(levels)
        )
    if config.out_hidden_size != text.hidden_size:
        raise reader.wrong("out_hidden_size", f"the decoder's hidden_size {text.hidden_size}", config.out_hidden_size)


def _read_quantization(reader: JsonReader) -> QuantizationConfig | None:
    key = "quantization" if reader.raw.get("quantization") else "quantization_config"
    raw = reader.raw.get(key)
    if not raw or (isinstance(raw, Mapping) and "quant_method" in raw):
        return None
    block = reader.child(key)
    default = _read_layer_quantization(block)
    layers: dict[str, LayerQuantization | None] = {}
    for name, value in block.raw.items():
        if isinstance(value, Mapping):
            layers[name] = _read_layer_quantization(block.child(name))
        elif isinstance(value, bool):
            layers[name] = default if value else None
    return QuantizationConfig(default=default, layers=layers)


def _read_layer_quantization(reader: JsonReader) -> LayerQuantization:
    """Read one setting; what it leaves out is MLX's default of its mode, not the folder's setting (as in MLX)."""
    mode = reader.choice("mode", tuple(PACKED_FORMS), "affine")
    group_sizes, bits_choices = PACKED_FORMS[mode]
    group_size = reader.integer("group_size", group_sizes[0])
    bits = reader.integer("bits", bits_choices[0])
    for name, value, choices in (("group_size", group_size, group_sizes), ("bits", bits, bits_choices)):
        if value not in choices:
            shown = ", ".join(str(choice) for choice in sorted(choices))
            raise ConfigError(f"{reader.where}: {name} {value} is not supported in mode {mode}, only {shown}. {OTHER}")
    return LayerQuantization(group_size=group_size, bits=bits, mode=mode)


def _read_fp8(reader: JsonReader) -> Fp8Config | None:
    raw = reader.raw.get("quantization_config")
    if not isinstance(raw, Mapping) or "quant_method" not in raw:
        return None
    block = JsonReader(raw, f"{reader.where} quantization_config")
    block.choice("quant_method", ("fp8",))
    block.choice("fmt", ("e4m3",), "e4m3")
    shape = block.integers("weight_block_size")
    if len(shape) != 2 or min(shape) < 1:
        raise block.wrong("weight_block_size", "two positive numbers", list(shape))
    return Fp8Config(block_shape=(shape[0], shape[1]))


def _refuse_code(raw: Json, where: str) -> None:
    """Refuse a checkpoint that names code to run, at any depth of the file."""
    waiting = [raw]
    while waiting:
        for key, value in waiting.pop().items():
            if key in _CODE_KEYS and value:
                raise ConfigError(
                    f"{where}: {key} asks to run code from the checkpoint ({value!r}), which is never done here. "
                    "Remove the key if you trust the weights."
                )
            if isinstance(value, Mapping):
                waiting.append(value)
