"""Make a row's memories for a model, and count what a token costs in them."""

from __future__ import annotations

from typing import Literal

from edge.config import TextConfig
from edge.kv.layer import LayerMemory
from edge.kv.plain import PlainMemory


def make_memory(config: TextConfig, *, kv_bits: Literal[8, 4] | None) -> list[LayerMemory]:
    """Return an empty memory for every decoder layer."""
    assert kv_bits is None, "packed memories follow"
    return [PlainMemory() for _ in range(config.num_layers)]
