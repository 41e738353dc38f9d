"""The published models as numbers, so that they can be planned without their files.

In: a name such as `30b`, `Qwen3-VL-4B-Instruct` or a hub id. Out: its `ModelConfig`. Instruct and Thinking of one size
have the same sizes.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from edge.config import ModelConfig, MoeConfig, RopeConfig, TextConfig, VisionConfig

_ROPE = RopeConfig(theta=5e6, mrope_section=(24, 20, 20))
_CONTEXT, _VOCABULARY = 262_144, 151_936


def _text(
    hidden: int, layers: int, heads: int, kv_heads: int, inner: int, moe: tuple[int, int, int] | None = None
) -> TextConfig:
    sparse = None
    if moe is not None:
        num_experts, per_token, width = moe
        sparse = MoeConfig(num_experts, per_token, width, decoder_sparse_step=1, mlp_only_layers=())
    return TextConfig(hidden, layers, heads, kv_heads, 128, inner, _VOCABULARY, _CONTEXT, 1e-6, _ROPE, sparse)


def _model(text: TextConfig, *, is_small: bool = False, is_tied: bool = False) -> ModelConfig:
    depth, width, inner, levels = (24, 1024, 4096, (5, 11, 17)) if is_small else (27, 1152, 4304, (8, 16, 24))
    vision = VisionConfig(depth, width, inner, 16, 3, 16, 2, 2, 2304, text.hidden_size, levels)
    kind = "qwen3_vl" if text.moe is None else "qwen3_vl_moe"
    ids = {"image_token_id": 151655, "video_token_id": 151656}
    ids |= {"vision_start_token_id": 151652, "vision_end_token_id": 151653}
    return ModelConfig(
        model_type="qwen3_vl" if kind == "qwen3_vl" else "qwen3_vl_moe",
        text=text,
        vision=vision,
        tie_word_embeddings=is_tied,
        eos_token_ids=(151645,),
        transformers_version=None,
        quantization=None,
        fp8=None,
        **ids,
    )


FAMILY = MappingProxyType(
    {
        "2B": _model(_text(2048, 28, 16, 8, 6144), is_small=True, is_tied=True),
        "4B": _model(_text(2560, 36, 32, 8, 9728), is_small=True, is_tied=True),
        "8B": _model(_text(4096, 36, 32, 8, 12288)),
        "30B-A3B": _model(_text(2048, 48, 32, 4, 6144, (128, 8, 768))),
        "32B": _model(_text(5120, 64, 64, 8, 25600)),
        "235B-A22B": _model(_text(4096, 94, 64, 4, 12288, (128, 8, 1536))),
    }
)
_SIZE = re.compile(r"(?<![0-9a-z.])(2|4|8|30|32|235)b(?![0-9a-z])", re.I)


def find_published(name: str) -> tuple[str, ModelConfig] | None:
    """Find the published model that a name or hub id means: its size, and its configuration.

    Args:
        name: Such as `30b`, `4B-Thinking` or `org/Qwen3-VL-30B-A3B-Instruct-4bit`; it names exactly one size.
    """
    if name in FAMILY:
        return name, FAMILY[name]
    found = {match.group(1) for match in _SIZE.finditer(name)}
    is_of_family = "/" not in name or "qwen3-vl" in name.lower()
    sizes = [size for size in FAMILY if size.split("B", 1)[0] in found]
    return (sizes[0], FAMILY[sizes[0]]) if is_of_family and len(sizes) == 1 else None
