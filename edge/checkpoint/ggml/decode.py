"""Turn GGML blocks into floats; packed types by `libgguf`, byte for byte as llama.cpp does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.checkpoint.ggml.types import BlockType

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def decode(raw: Bytes, kind: BlockType) -> Floats:
    """Decode rows of blocks.

    Args:
        raw: (rows, bytes of a row).
        kind: Their type.

    Returns:
        (rows, values) float32.
    """
    raw = np.ascontiguousarray(raw)
    match kind.name:
        case "F32":
            return raw.view("<f4")
        case "F16":
            return raw.view("<f2").astype(np.float32)
        case "BF16":
            return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    # Late: only the types without a form of their own need the library.
    import libgguf

    rows = np.empty((len(raw), raw.shape[1] // kind.block_bytes * kind.block_values), np.float32)
    libgguf.dequantize_rows_into_raw(kind.number, raw, rows, *rows.shape)
    return rows
