"""The table of block types has the numbers and sizes of gguf."""

from __future__ import annotations

import gguf
import pytest

from edge.checkpoint.ggml.types import TYPES
from tests.unit.checkpoint.ggml.rows import BLOCKS


@pytest.mark.parametrize("name", BLOCKS)
def test_block_sizes_are_those_of_gguf(name: str) -> None:
    kind = TYPES[name]
    assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind.number)] == (kind.block_values, kind.block_bytes)
    assert gguf.GGMLQuantizationType(kind.number).name == name
