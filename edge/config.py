"""Describe a model: sizes, rope, special ids, quantization, as frozen dataclasses.

`edge.config_json` fills them from a folder's `config.json`, the GGUF reader from metadata.
Processor and generation settings: `edge.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from edge.records import dataclass

ModelType = Literal["qwen3_vl", "qwen3_vl_moe"]


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding of the decoder: base, the three sections, and YaRN's numbers if the context is extended."""

    theta: float
    mrope_section: tuple[int, int, int]
    rope_type: Literal["default", "yarn"] = "default"
    factor: float = 1.0
    original_max_position_embeddings: int = 0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    truncate: bool = True  # round the range of YaRN's ramp to whole frequencies


@dataclass(frozen=True, slots=True)
class MoeConfig:
    """Sizes of the sparse block and the layers that have one."""

    num_experts: int
    experts_per_token: int
    intermediate_size: int
    decoder_sparse_step: int
    mlp_only_layers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TextConfig:
    """Sizes of the decoder. `moe` is None for dense models."""

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope: RopeConfig
    moe: MoeConfig | None

    def is_sparse_layer(self, layer_index: int) -> bool:
        """Tell whether a decoder layer has experts (Source: transformers Qwen3VLMoeTextDecoderLayer)."""
        moe = self.moe
        if moe is None or layer_index in moe.mlp_only_layers:
            return False
        return (layer_index + 1) % moe.decoder_sparse_step == 0

    @property
    def kv_values_per_token(self) -> int:
        """Numbers kept per token in an unquantized KV cache over all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """Sizes of the vision tower."""

    depth: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    in_channels: int
    patch_size: int
    temporal_patch_size: int
    spatial_merge_size: int
    num_position_embeddings: int
    out_hidden_size: int
    deepstack_indexes: tuple[int, ...]

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def position_side(self) -> int:
        """Rows (and columns) of the square position table."""
        return int(self.num_position_embeddings**0.5)

    @property
    def patch_values(self) -> int:
        """Floats in one flat patch row, order (C, T, H, W)."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2

    @property
    def merge_area(self) -> int:
        """Patches that become one visual token."""
        return self.spatial_merge_size**2


@dataclass(frozen=True, slots=True)
class LayerQuantization:
    """How one weight is stored in MLX's packed form."""

    group_size: int
    bits: int
    mode: str


@dataclass(frozen=True, slots=True)
class QuantizationConfig:
    """MLX quantization of a folder: a default, and layers that differ. None in `layers` means not quantized."""

    default: LayerQuantization
    layers: Mapping[str, LayerQuantization | None] = field(default_factory=dict)

    def of(self, module_path: str) -> LayerQuantization | None:
        """Return the setting for a module path such as `language_model.model.layers.0.mlp.gate`."""
        return self.layers.get(module_path, self.default)


@dataclass(frozen=True, slots=True)
class Fp8Config:
    """Block size of an FP8 hub checkpoint: weight = fp8 * weight_scale_inv per block of the last two axes."""

    block_shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything about a checkpoint that decides the model."""

    model_type: ModelType
    text: TextConfig
    vision: VisionConfig
    image_token_id: int
    video_token_id: int
    vision_start_token_id: int
    vision_end_token_id: int
    tie_word_embeddings: bool
    eos_token_ids: tuple[int, ...]
    transformers_version: str | None
    quantization: QuantizationConfig | None
    fp8: Fp8Config | None
