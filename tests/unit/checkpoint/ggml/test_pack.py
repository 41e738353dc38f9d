"""Block types: decoding equals libgguf and gguf, packed forms have the same values or a bounded error."""

from __future__ import annotations

import libgguf
import mlx.core as mx
import numpy as np
import pytest

from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.ggml.pack import NEAREST, is_exact, mlx_form, pack, unpack_values
from edge.checkpoint.ggml.types import TYPES
from tests.unit.checkpoint.ggml.rows import BLOCKS, ROWS, SLOW_TO_ENCODE, VALUES, encoded, random_blocks

EXACT = [name for name in BLOCKS if is_exact(TYPES[name])]
FLOAT_SCALED = [name for name in EXACT if name not in ("MXFP4", "NVFP4")]
# Root mean square of what bfloat16 scales add, over that of the values.
BFLOAT16_BOUND = 0.005


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("make", [encoded, random_blocks])
def test_exact_forms_have_equal_values(name: str, make: object) -> None:
    kind = TYPES[name]
    raw = encoded(kind) if make is encoded else random_blocks(kind)
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
    packed = pack(encoded(kind), kind, dtype=mx.bfloat16)
    assert packed.scales.dtype == mx.bfloat16
    expected = decode(encoded(kind), kind)
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
    from edge.checkpoint.ggml.pack import pack_floats

    own = pack_floats(codes, 5, dtype=mx.float32)
    ours = mx.dequantize(own.weight, own.scales, own.biases, group_size=32, bits=5)
    assert own.weight.shape == weight.shape
    np.testing.assert_allclose(np.array(ours), np.array(back), atol=1e-5)
