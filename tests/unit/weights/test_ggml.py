"""Block types: decoding equals libgguf and gguf, packed forms have the same values or a bounded error."""

from __future__ import annotations

import gguf
import libgguf
import mlx.core as mx
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.weights.ggml import NEAREST, decode, is_exact, mlx_form, pack, unpack_values
from edge.weights.ggml_types import TYPES, BlockType

ROWS, VALUES = 7, 512
BLOCKS = [name for name, kind in TYPES.items() if not kind.is_float]
EXACT = [name for name in BLOCKS if is_exact(TYPES[name])]
FLOAT_SCALED = [name for name in EXACT if name not in ("MXFP4", "NVFP4")]
# libgguf searches minutes for these; blocks with random codes do as well.
SLOW_TO_ENCODE = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS")
# Root mean square of what bfloat16 scales add, over that of the values.
BFLOAT16_BOUND = 0.005


def _encoded(kind: BlockType) -> NDArray[np.uint8]:
    """Rows as a quantizer writes them, one of them zero."""
    rows = np.random.default_rng(3).normal(0, 0.02, (ROWS, VALUES)).astype(np.float32)
    rows[0] = 0
    return np.asarray(libgguf.quantize_rows(rows, kind.number))


def _random_blocks(kind: BlockType) -> NDArray[np.uint8]:
    """Rows of random bytes whose values are all finite: codes and scales no quantizer chooses, too."""
    random = np.random.default_rng(4)
    rows: list[NDArray[np.uint8]] = []
    while len(rows) < ROWS:
        row = random.integers(0, 256, (1, kind.num_bytes(VALUES)), dtype=np.uint8)
        if kind.name == "MXFP4":
            row[:, :: kind.block_bytes] = random.integers(90, 160, VALUES // 32)
        if kind.name == "NVFP4":
            row[row == 255] = 254  # no scale that MLX's format has
        for start in range(0, row.shape[1], kind.block_bytes):  # scales stand first: float16 of moderate size
            if kind.name not in ("MXFP4", "NVFP4"):
                halves = random.normal(0, 3, 2).astype("<f2").view(np.uint8)
                width = 4 if kind.name in ("Q4_1", "Q5_1", "Q4_K", "Q5_K") else 2
                row[0, start : start + width] = halves[:width]
        if np.isfinite(libgguf.dequantize_rows(row, kind.number)).all():
            rows.append(row[0])
    return np.stack(rows)


@pytest.mark.parametrize("name", BLOCKS)
def test_block_sizes_are_those_of_gguf(name: str) -> None:
    kind = TYPES[name]
    assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind.number)] == (kind.block_values, kind.block_bytes)
    assert gguf.GGMLQuantizationType(kind.number).name == name


@pytest.mark.parametrize("name", BLOCKS)
def test_decoding_equals_libgguf_and_gguf(name: str) -> None:
    kind = TYPES[name]
    raw = _random_blocks(kind) if name in SLOW_TO_ENCODE else _encoded(kind)
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


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("make", [_encoded, _random_blocks])
def test_exact_forms_have_equal_values(name: str, make: object) -> None:
    kind = TYPES[name]
    raw = _encoded(kind) if make is _encoded else _random_blocks(kind)
    form = mlx_form(kind)
    assert form is not None
    values = np.array(unpack_values(pack(raw, kind, dtype=mx.float32), form))
    expected = libgguf.dequantize_rows(raw, kind.number)
    # IQ4_XS has 17-bit scales and 8-bit codes: one bit more than float32 holds.
    tolerance = np.abs(expected).max() * 2e-7 if name == "IQ4_XS" else 0
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", FLOAT_SCALED)
def test_bfloat16_scales_add_a_bounded_error(name: str) -> None:
    kind = TYPES[name]
    form = mlx_form(kind)
    assert form is not None
    packed = pack(_encoded(kind), kind, dtype=mx.bfloat16)
    assert packed.scales.dtype == mx.bfloat16
    expected = decode(_encoded(kind), kind)
    difference = np.array(unpack_values(packed, form)) - expected
    # mx.dequantize gives bfloat16 here, whose own rounding is part of the difference.
    assert np.sqrt(np.square(difference).mean() / np.square(expected).mean()) < 2 * BFLOAT16_BOUND


@pytest.mark.parametrize("name", sorted(set(NEAREST) - set(SLOW_TO_ENCODE)))
def test_nearest_forms_add_less_than_a_third_of_the_types_own_error(name: str) -> None:
    kind = TYPES[name]
    rows = np.random.default_rng(3).normal(0, 0.02, (ROWS, VALUES)).astype(np.float32)
    raw = np.asarray(libgguf.quantize_rows(rows, kind.number))
    expected = decode(raw, kind)
    packed = pack(raw, kind, dtype=mx.float32)
    added = np.sqrt(np.square(np.array(unpack_values(packed, NEAREST[name])) - expected).mean())
    own = np.sqrt(np.square(expected - rows).mean())
    assert added < own / 3


def test_words_are_those_of_mlx() -> None:
    codes = np.random.default_rng(2).integers(0, 32, (4, 64)).astype(np.float32)
    codes[:, 0], codes[:, 1] = 0, 31  # so that MLX finds scale 1 and bias 0 (or their mirror)
    codes[:, 32], codes[:, 33] = 0, 31
    weight, scales, biases = mx.quantize(mx.array(codes), group_size=32, bits=5)
    back = mx.dequantize(weight, scales, biases, group_size=32, bits=5)
    from edge.weights.ggml import pack_floats

    own = pack_floats(codes, 5, dtype=mx.float32)
    ours = mx.dequantize(own.weight, own.scales, own.biases, group_size=32, bits=5)
    assert own.weight.shape == weight.shape
    np.testing.assert_allclose(np.array(ours), np.array(back), atol=1e-5)
