"""Decoding equals libgguf and gguf, byte for byte."""

from __future__ import annotations

import gguf
import libgguf
import numpy as np
import pytest

from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.ggml.types import TYPES
from tests.unit.checkpoint.ggml.rows import BLOCKS, SLOW_TO_ENCODE, encoded, random_blocks


@pytest.mark.parametrize("name", BLOCKS)
def test_decoding_equals_libgguf_and_gguf(name: str) -> None:
    kind = TYPES[name]
    raw = random_blocks(kind) if name in SLOW_TO_ENCODE else encoded(kind)
    values = decode(raw, kind)
    np.testing.assert_array_equal(values, libgguf.dequantize_rows(raw, kind.number))
    np.testing.assert_array_equal(values, gguf.dequantize(raw, gguf.GGMLQuantizationType(kind.number)))


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
def test_floats_are_decoded_bit_by_bit(name: str) -> None:
    rows = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    kind = TYPES[name]
    raw = gguf.quantize(rows, gguf.GGMLQuantizationType(kind.number)).view(np.uint8).reshape(3, -1)
    expected = gguf.dequantize(raw, gguf.GGMLQuantizationType(kind.number)) if name == "BF16" else raw
    expected = raw.view({"F32": "<f4", "F16": "<f2"}[name]) if name != "BF16" else expected
    np.testing.assert_array_equal(decode(raw, kind), expected.reshape(3, 8))
