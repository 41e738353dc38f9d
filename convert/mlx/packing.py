"""Pack integer codes into MLX's words: little-endian bit streams, code k of a row at bits `bits * k`.

In: codes, one column per group. Out: uint32 rows as `mx.quantize` returns them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# bits -> codes that fill whole bytes, and the type that holds them
_UNITS: dict[int, tuple[int, DTypeLike]] = {
    2: (4, np.uint8),
    3: (8, np.uint32),
    4: (2, np.uint8),
    5: (8, np.uint64),
    6: (4, np.uint32),
    8: (1, np.uint8),
}


def pack_codes(codes: NDArray[np.uint8], *, bits: int) -> NDArray[np.uint32]:
    """Pack codes.

    Args:
        codes: 0 to 2**bits - 1, (group size, groups).
        bits: 2, 3, 4, 5, 6 or 8.

    Returns:
        Words (groups, group size * bits / 32).
    """
    count, kind = _UNITS[bits]
    units = _join(codes, bits=bits, count=count, kind=kind)
    unit_bytes = [(units >> (8 * index)).astype(np.uint8) for index in range(count * bits // 8)]
    stream = np.stack(unit_bytes, axis=1).reshape(-1, codes.shape[1])  # (bytes, groups)
    return np.ascontiguousarray(_join(stream, bits=8, count=4, kind=np.uint32).T)


def _join(numbers: NDArray[np.uint8], *, bits: int, count: int, kind: DTypeLike) -> NDArray[Any]:  # Any: `kind` decides
    """Join `count` rows to one, the first in the lowest bits."""
    joined = numbers[::count].astype(kind)
    for index in range(1, count):
        joined |= np.left_shift(numbers[index::count], bits * index, dtype=kind)
    return joined
