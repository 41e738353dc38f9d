"""Read the rotary embedding of `config.json`; where a value stands twice, transformers' order decides.

In: the text or vision part of the file. Out: `RopeConfig`. Tests hold the order pair by pair against transformers 5.23,
which reads no `mrope_interleaved`.
"""

from __future__ import annotations

import logging
import math

from edge.config import RopeConfig
from edge.json_reader import JsonReader

_LOG = logging.getLogger(__name__)

# What transformers takes where a file names no value.
ROPE_BLOCKS = ("rope_scaling", "rope_parameters")  # the first that is there and not empty counts
ROPE_THETA, VISION_THETA = 500000.0, 10000.0
MROPE_SECTION = (24, 20, 20)


def read_rope(text: JsonReader, head_dim: int) -> RopeConfig:
    """Read the rotary embedding; where a value stands twice, transformers' order decides (tested pair by pair)."""
    key = next((key for key in ROPE_BLOCKS if text.raw.get(key)), None)
    rope = JsonReader({}, f"{text.where} {ROPE_BLOCKS[-1]}") if key is None else text.child(key)
    rope_type = rope.choice("rope_type" if "rope_type" in rope.raw else "type", ("default", "yarn", "mrope"), "default")
    if not rope.flag("mrope_interleaved", True):
        _LOG.warning("%s: mrope_interleaved false does not count: Qwen3-VL's axes are always interleaved", rope.where)
    for block in (text, rope):
        block.only("partial_rotary_factor", 1.0)
    section = rope.integers("mrope_section") if "mrope_section" in rope.raw else MROPE_SECTION
    if len(section) != 3 or sum(section) != head_dim // 2 or min(section) < 0:
        raise rope.wrong("mrope_section", f"three numbers with sum {head_dim // 2}", list(section))
    # The block's own base wins over the older place beside it, which a later save may have left behind.
    theta = rope.number("rope_theta") if "rope_theta" in rope.raw else text.number("rope_theta", ROPE_THETA)
    sections = (section[0], section[1], section[2])
    if rope_type != "yarn":
        return RopeConfig(theta=theta, mrope_section=sections)
    return _read_yarn(text, rope, theta, sections)


def _read_yarn(text: JsonReader, rope: JsonReader, theta: float, sections: tuple[int, int, int]) -> RopeConfig:
    length = text.size("max_position_embeddings")
    name = "original_max_position_embeddings"
    # The same key beside the block wins over the block's own; without both, the context counts as never extended.
    original = text.size(name) if text.raw.get(name) else rope.size(name) if rope.raw.get(name) else length
    if "factor" not in rope.raw:
        rope.number("factor")
    factor = length / original if rope.raw["factor"] is None else rope.number("factor")
    return RopeConfig(
        theta=theta,
        mrope_section=sections,
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=original,
        beta_fast=rope.number("beta_fast") if rope.raw.get("beta_fast") else 32.0,
        beta_slow=rope.number("beta_slow") if rope.raw.get("beta_slow") else 1.0,
        attention_factor=_attention_factor(rope, factor),
        truncate=rope.flag("truncate", True),
    )


def _attention_factor(rope: JsonReader, factor: float) -> float | None:
    if rope.raw.get("attention_factor") is not None:
        return rope.number("attention_factor")
    if not (rope.raw.get("mscale") and rope.raw.get("mscale_all_dim")):
        return None
    scales = [rope.number(name) for name in ("mscale", "mscale_all_dim")]
    above, below = (0.1 * scale * math.log(factor) + 1.0 if factor > 1 else 1.0 for scale in scales)
    return above / below


def check_vision_rope(reader: JsonReader) -> None:
    """Refuse a vision tower with other rotary angles than all published ones have."""
    key = next((key for key in ROPE_BLOCKS if reader.raw.get(key)), None)
    blocks = [reader] if key is None else [reader.child(key), reader]
    theta = next((block.number("rope_theta") for block in blocks if "rope_theta" in block.raw), VISION_THETA)
    if theta != VISION_THETA:
        raise reader.wrong("rope_theta", f"{VISION_THETA:g} (the only one supported here)", theta)
