"""What each dtype of a safetensors file is: one table, for headers, readers and writers.

8-bit floats and the scales of MLX's packed forms have no MLX dtype: they are read as their codes, and an operation of
the name tables decodes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mlx.core as mx
import numpy as np

from edge.records import dataclass


@dataclass(frozen=True, slots=True)
class Stored:
    """How the values of a dtype lie in a file.

    Attributes:
        bits: Of one value.
        carrier: The numpy type their bits are read as; None where this runtime cannot read the dtype.
        meaning: What they are to MLX.
        wrong_bits: All set only in values that are infinite or no number; None where every value is a number.
    """

    bits: int
    carrier: str | None = None
    meaning: mx.Dtype | None = None
    wrong_bits: int | None = None

    @property
    def numpy_type(self) -> np.dtype[np.generic]:
        """The type the bits are read as."""
        assert self.carrier is not None, "a dtype that is read here"
        return np.dtype(self.carrier)

    @property
    def mlx_type(self) -> mx.Dtype:
        """The type the values have."""
        assert self.meaning is not None, "a dtype that is read here"
        return self.meaning


DTYPES: Mapping[str, Stored] = MappingProxyType(
    {
        "BOOL": Stored(8, "?", mx.bool_),
        "U8": Stored(8, "u1", mx.uint8),
        "I8": Stored(8, "i1", mx.int8),
        "F8_E4M3": Stored(8, "u1", mx.uint8, wrong_bits=0x7F),  # its codes
        "F8_E5M2": Stored(8),
        "F8_E8M0": Stored(8),
        "U16": Stored(16, "<u2", mx.uint16),
        "I16": Stored(16, "<i2", mx.int16),
        "F16": Stored(16, "<u2", mx.float16, wrong_bits=0x7C00),
        "BF16": Stored(16, "<u2", mx.bfloat16, wrong_bits=0x7F80),
        "U32": Stored(32, "<u4", mx.uint32),
        "I32": Stored(32, "<i4", mx.int32),
        "F32": Stored(32, "<u4", mx.float32, wrong_bits=0x7F80_0000),
        "U64": Stored(64, "<u8", mx.uint64),
        "I64": Stored(64, "<i8", mx.int64),
        "F64": Stored(64, "<u8", mx.float32, wrong_bits=0x7FF0_0000_0000_0000),  # narrowed
        "C64": Stored(64),
    }
)
READABLE = tuple(name for name, stored in DTYPES.items() if stored.carrier is not None)
FLOATS = tuple(name for name, stored in DTYPES.items() if stored.wrong_bits is not None)
# How an array of MLX is written.
NAMES: Mapping[mx.Dtype, str] = MappingProxyType(
    {DTYPES[name].mlx_type: name for name in READABLE if name not in ("F8_E4M3", "F64")}
)
