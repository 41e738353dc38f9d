"""Turn GGML blocks into MLX's packed form with the same values.

Eleven block types have an exact MLX form (up to the type that scales are kept in); their codes are only moved.
The others are decoded and packed anew in the smallest form whose error hardly adds to their own.
Source of the block layouts: ggml's public structures (`ggml-common.h`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.checkpoint.ggml.decode import Bytes, Floats, decode
from edge.checkpoint.ggml.types import BlockType
from edge.config import LayerQuantization
from edge.records import dataclass

GROUP = 32
AFFINE_2, AFFINE_4, AFFINE_5, AFFINE_8 = (LayerQuantization(GROUP, bits, "affine") for bits in (2, 4, 5, 8))
MXFP4 = LayerQuantization(32, 4, "mxfp4")
NVFP4 = LayerQuantization(16, 4, "nvfp4")

# The values behind the 4-bit codes of IQ4_NL and IQ4_XS; as 8-bit codes they are exact.
IQ4_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int16)

# Types without an exact form -> form whose own error is small beside theirs (root of the mean square over the standard
# deviation: Q6_K .0185 + .005, Q3_K .156 + .04, Q2_K .304 + .08).
NEAREST = {
    "Q6_K": AFFINE_8,
    "Q3_K": AFFINE_5,
    "IQ3_S": AFFINE_5,
    "IQ3_XXS": AFFINE_5,
    "Q2_K": AFFINE_4,
    "IQ2_S": AFFINE_4,
    "IQ2_XS": AFFINE_4,
    "IQ2_XXS": AFFINE_4,
    "IQ1_S": AFFINE_4,
    "IQ1_M": AFFINE_4,
    "TQ1_0": AFFINE_4,
    "TQ2_0": AFFINE_4,
}


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows in MLX's packed form.

    Attributes:
        weight: Words, (rows, inputs * bits / 32) uint32.
        scales: One per group; floats, or uint8 codes in the modes mxfp4 and nvfp4.
        biases: One per group in the affine mode, else None.
    """

    weight: mx.array
    scales: mx.array
    biases: mx.array | None


@dataclass(frozen=True, slots=True)
class Groups:
    """Codes and float32 scales of affine groups: value = scale * code + bias."""

    codes: Bytes  # (groups, 32)
    scales: Floats  # (groups,)
    biases: Floats  # (groups,)


def mlx_form(kind: BlockType) -> LayerQuantization | None:
    """Return the packed form that a block type is loaded to; None for floats."""
    if kind.is_float:
        return None
    return _EXACT[kind.name][0] if kind.name in _EXACT else NEAREST[kind.name]


def is_exact(kind: BlockType) -> bool:
    """Tell whether the packed form has the same values (with float32 scales)."""
    return kind.is_float or kind.name in _EXACT


def pack(raw: Bytes, kind: BlockType, *, dtype: mx.Dtype) -> Packed:
    """Bring rows of blocks into their `mlx_form`.

    Args:
        raw: (rows, bytes of a row).
        kind: A block type, not a float.
        dtype: Type of affine scales and biases; float32 keeps exact forms exact.

    Returns:
        The packed rows, evaluated.
    """
    rows = len(raw)
    if kind.name in ("MXFP4", "NVFP4"):
        codes, scale_codes = (_mxfp4 if kind.name == "MXFP4" else _nvfp4)(_blocks(raw, kind))
        packed = Packed(_words(codes, 4, rows), mx.array(scale_codes.reshape(rows, -1)), None)
    elif kind.name in _EXACT:
        setting, unpack = _EXACT[kind.name]
        assert unpack is not None, f"{kind.name} has a branch of its own"
        groups = unpack(_blocks(raw, kind))
        scales, biases = (mx.array(values.reshape(rows, -1)).astype(dtype) for values in (groups.scales, groups.biases))
        packed = Packed(_words(groups.codes, setting.bits, rows), scales, biases)
    else:
        packed = pack_floats(decode(raw, kind), NEAREST[kind.name].bits, dtype=dtype)
    mx.eval([packed.weight, packed.scales])
    return packed


def unpack_values(packed: Packed, setting: LayerQuantization) -> mx.array:
    """Return the values of packed rows, float32 (the modes mxfp4 and nvfp4: exact in bfloat16 already)."""
    values = mx.dequantize(
        packed.weight,
        packed.scales,
        packed.biases,
        group_size=setting.group_size,
        bits=setting.bits,
        mode=setting.mode,
    )
    return values.astype(mx.float32)


def pack_floats(values: Floats, bits: int, *, dtype: mx.Dtype) -> Packed:
    """Pack rows in affine groups of 32 from least to largest value, on the grid of `dtype`."""
    grouped = mx.array(values).reshape(len(values), -1, GROUP)
    low, high = grouped.min(axis=-1, keepdims=True), grouped.max(axis=-1, keepdims=True)
    top = (1 << bits) - 1
    scales, biases = ((high - low) / top).astype(dtype), low.astype(dtype)
    steps = mx.where(scales == 0, 1, scales).astype(mx.float32)
    codes = mx.clip(mx.round((grouped - biases.astype(mx.float32)) / steps), 0, top).astype(mx.uint8)
    flat = np.array(codes).reshape(-1, GROUP)
    return Packed(_words(flat, bits, len(values)), scales.squeeze(-1), biases.squeeze(-1))


def _blocks(raw: Bytes, kind: BlockType) -> Bytes:
    return np.ascontiguousarray(raw).reshape(-1, kind.block_bytes)


def _words(codes: Bytes, bits: int, rows: int) -> mx.array:
    """Write codes as MLX does: one stream of bits per row, lowest bit first, in 32-bit words."""
    stream: NDArray[Any]  # Any: numpy types shifts of bytes as integers of any size
    match bits:
        case 8:
            stream = np.ascontiguousarray(codes)
        case 4:
            stream = codes[:, 0::2] | codes[:, 1::2] << 4
        case 2:
            stream = codes[:, 0::4] | codes[:, 1::4] << 2 | codes[:, 2::4] << 4 | codes[:, 3::4] << 6
        case _:
            spread = np.unpackbits(codes[:, :, None], axis=-1, bitorder="little", count=bits)
            stream = np.packbits(spread.reshape(len(codes), -1), axis=-1, bitorder="little")
    return mx.array(np.ascontiguousarray(stream).reshape(rows, -1).view("<u4"))


def _halves(raw: Bytes) -> Floats:
    """Read float16 numbers, one per row of two bytes."""
    return np.ascontiguousarray(raw).view("<f2").astype(np.float32)[:, 0]


def _nibbles(raw: Bytes) -> Bytes:
    """Low halves of all bytes, then high halves: the order inside a block of 32."""
    return np.concatenate([raw & 15, raw >> 4], axis=-1)


def _fifth_bits(raw: Bytes) -> NDArray[np.uint8]:
    """Read 32 bits of four bytes as 16 in each of 32 numbers."""
    return np.unpackbits(raw, axis=-1, bitorder="little") << np.uint8(4)


def _q4_0(blocks: Bytes) -> Groups:
    scales = _halves(blocks[:, :2])
    return Groups(_nibbles(blocks[:, 2:]), scales, -8 * scales)


def _q4_1(blocks: Bytes) -> Groups:
    return Groups(_nibbles(blocks[:, 4:]), _halves(blocks[:, :2]), _halves(blocks[:, 2:4]))


def _q5_0(blocks: Bytes) -> Groups:
    scales = _halves(blocks[:, :2])
    return Groups(_nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6]), scales, -16 * scales)


def _q5_1(blocks: Bytes) -> Groups:
    codes = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return Groups(codes, _halves(blocks[:, :2]), _halves(blocks[:, 2:4]))


def _q8_0(blocks: Bytes) -> Groups:
    scales = _halves(blocks[:, :2])
    return Groups(blocks[:, 2:] ^ np.uint8(128), scales, -128 * scales)  # a signed byte plus 128


def _k_scales(blocks: Bytes) -> tuple[Floats, Floats]:
    """Read d, dmin and the eight 6-bit scales and minima of Q4_K and Q5_K; returns (blocks * 8,) each."""
    low, middle, high = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]
    scales = np.concatenate([low & 63, (high & 15) | (low >> 6) << 4], axis=-1)
    minima = np.concatenate([middle & 63, (high >> 4) | (middle >> 6) << 4], axis=-1)
    step, least = _halves(blocks[:, :2])[:, None], _halves(blocks[:, 2:4])[:, None]
    return (step * scales).ravel(), (-(least * minima)).ravel()


def _q4_k(blocks: Bytes) -> Groups:
    quarters = blocks[:, 16:].reshape(-1, 4, 32)
    codes = np.stack([quarters & 15, quarters >> 4], axis=2)  # (blocks, 4, 2, 32)
    return Groups(codes.reshape(-1, GROUP), *_k_scales(blocks))


def _q5_k(blocks: Bytes) -> Groups:
    quarters = blocks[:, 48:].reshape(-1, 4, 32)
    codes = np.stack([quarters & 15, quarters >> 4], axis=2).reshape(-1, 8, 32)
    fifth = np.arange(8, dtype=np.uint8)[None, :, None]
    codes |= (blocks[:, 16:48][:, None, :] >> fifth & np.uint8(1)) << np.uint8(4)
    return Groups(codes.reshape(-1, GROUP), *_k_scales(blocks))


def _iq4_groups(codes: Bytes, scales: Floats) -> Groups:
    return Groups((IQ4_VALUES + 128).astype(np.uint8)[codes], scales, -128 * scales)


def _iq4_nl(blocks: Bytes) -> Groups:
    return _iq4_groups(_nibbles(blocks[:, 2:]), _halves(blocks[:, :2]))


def _iq4_xs(blocks: Bytes) -> Groups:
    high = np.ascontiguousarray(blocks[:, 2:4]).view("<u2").astype(np.int32)
    low = np.stack([blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4], axis=-1).reshape(-1, 8)
    scales = low | (high >> 2 * np.arange(8) & 3) << 4
    codes = _nibbles(blocks[:, 8:].reshape(-1, 8, 16))
    factors = _halves(blocks[:, :2])[:, None] * (scales - 32).astype(np.float32)
    return _iq4_groups(codes.reshape(-1, GROUP), factors.ravel())


def _mxfp4(blocks: Bytes) -> tuple[Bytes, Bytes]:
    return _nibbles(blocks[:, 1:]), blocks[:, :1]


def _nvfp4(blocks: Bytes) -> tuple[Bytes, Bytes]:
    scales = np.where(blocks[:, :4] == 0x7F, 0, blocks[:, :4] & 0x7F).astype(np.uint8)  # unsigned, 0x7F counts as 0
    return _nibbles(blocks[:, 4:].reshape(-1, 4, 8)).reshape(-1, 16), scales


# block type -> form and the function that takes its blocks apart
_EXACT: dict[str, tuple[LayerQuantization, Callable[[Bytes], Groups] | None]] = {
    "Q4_0": (AFFINE_4, _q4_0),
    "Q4_1": (AFFINE_4, _q4_1),
    "Q4_K": (AFFINE_4, _q4_k),
    "Q5_0": (AFFINE_5, _q5_0),
    "Q5_1": (AFFINE_5, _q5_1),
    "Q5_K": (AFFINE_5, _q5_k),
    "Q8_0": (AFFINE_8, _q8_0),
    "IQ4_NL": (AFFINE_8, _iq4_nl),
    "IQ4_XS": (AFFINE_8, _iq4_xs),
    "MXFP4": (MXFP4, None),
    "NVFP4": (NVFP4, None),
}
