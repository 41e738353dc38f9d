"""Rows of blocks for tests: as a quantizer writes them, and with random codes."""

from __future__ import annotations

import libgguf
import numpy as np
from numpy.typing import NDArray

from edge.checkpoint.ggml.types import TYPES, BlockType

ROWS, VALUES = 7, 512
BLOCKS = [name for name, kind in TYPES.items() if not kind.is_float]
# libgguf searches minutes for these; blocks with random codes do as well.
SLOW_TO_ENCODE = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS")


def encoded(kind: BlockType) -> NDArray[np.uint8]:
    """Rows as a quantizer writes them, one of them zero."""
    rows = np.random.default_rng(3).normal(0, 0.02, (ROWS, VALUES)).astype(np.float32)
    rows[0] = 0
    return np.asarray(libgguf.quantize_rows(rows, kind.number))


def random_blocks(kind: BlockType) -> NDArray[np.uint8]:
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
