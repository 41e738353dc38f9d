"""The block types of GGML: number in a file, name, values and bytes of one block.

A row of a tensor is a whole number of blocks. Source of the numbers: ggml's public type table (`ggml.h`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge.records import dataclass


@dataclass(frozen=True, slots=True)
class BlockType:
    """One storage type: `block_values` numbers take `block_bytes` bytes."""

    number: int
    name: str
    block_values: int
    block_bytes: int

    @property
    def is_float(self) -> bool:
        """Tell plain floats from packed blocks."""
        return self.name in FLOATS

    def num_bytes(self, num_values: int) -> int:
        """Bytes of a run of whole blocks."""
        return num_values // self.block_values * self.block_bytes

    def fits(self, row_values: int) -> bool:
        """Tell whether a row is a whole number of blocks."""
        return row_values % self.block_values == 0


FLOATS = ("F32", "F16", "BF16")
_ROWS = (
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
)
TYPES: Mapping[str, BlockType] = MappingProxyType({row[1]: BlockType(*row) for row in _ROWS})
TYPES_BY_NUMBER: Mapping[int, BlockType] = MappingProxyType({kind.number: kind for kind in TYPES.values()})
