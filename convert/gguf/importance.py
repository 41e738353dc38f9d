"""Make llama.cpp's importance of a calibration, and write it as llama.cpp's own file.

In: what a calibration saw, by parameter. Out: for each matrix of a text file the sum of squares of every input and the
tokens it saw, per expert where they are stacked; as `Importance` for this converter, or as a GGUF file that
llama-quantize reads.
"""

from __future__ import annotations

import filecmp
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convert.disk import explain_disk_errors
from convert.gguf.imatrix import Importance
from convert.gguf.layout import TensorPlan, plan_files
from convert.gguf.metadata import Pairs, packed_text
from edge.checkpoint.ggml.types import TYPES
from edge.checkpoint.names.gguf import text_table
from edge.config import ModelConfig
from edge.errors import UsageError

Floats = NDArray[np.float32]
_STRING, _UINT32, _ARRAY = 8, 4, 9  # GGUF's numbers of value types
_ROUTER = ".ffn_gate_inp."  # stays in float
_CHUNK_TOKENS = 512  # llama-imatrix counts in chunks of so many tokens


class Seen(Protocol):
    """What is asked of a calibration."""

    def has(self, tensor: str) -> bool:
        """Tell whether a parameter's inputs were seen."""
        ...

    def tokens(self, tensor: str, expert: int | None = None) -> int:
        """Count the tokens a matrix saw."""
        ...

    def diagonal(self, tensor: str, expert: int | None = None) -> Floats:
        """Return the mean square of each input."""
        ...


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one tensor: sums of squares (E, inputs) and tokens (E,), E being 1 for what is no stack."""

    squares: Floats
    counts: Floats

    def means(self) -> Floats:
        """Return one weight per input, expert after expert; an expert without a token counts all inputs alike."""
        counts = self.counts[:, None]
        means = np.where(counts > 0, self.squares / np.where(counts > 0, counts, 1), 1)
        return np.ascontiguousarray(means.ravel(), np.float32)


def sums_of(seen: Seen, config: ModelConfig) -> dict[str, Sums]:
    """Return the sums of every matrix of the text file that the calibration saw, by name in the file."""
    found = {}
    for rule in text_table(config).rules:
        parameter, shape = rule.targets[0].name, rule.targets[0].shape
        if len(shape) < 2 or len(rule.sources) != 1 or _ROUTER in rule.sources[0] or not seen.has(parameter):
            continue
        experts = range(shape[0]) if len(shape) == 3 else (None,)
        counts = np.array([seen.tokens(parameter, expert) for expert in experts], np.float32)
        means = np.stack([seen.diagonal(parameter, expert) for expert in experts])
        found[rule.sources[0]] = Sums(np.ascontiguousarray(means * counts[:, None], np.float32), counts)
    return found


def importance_of(sums: Mapping[str, Sums]) -> Importance:
    """Return the weights of inputs as the encoder takes them."""
    return {name: own.means() for name, own in sums.items()}


def write_importance(path: Path, sums: Mapping[str, Sums], *, dataset: str, is_replacing: bool = False) -> None:
    """Write llama.cpp's importance file in its GGUF form.

    Args:
        path: The file; one that is there with other bytes is refused.
        sums: By tensor name.
        dataset: What the model was shown, for people.
        is_replacing: Whether it is replaced after all.

    Raises:
        UsageError: There is another file of this name.
        OutputError: The disk is full or fails.
    """
    tensors, data = [], []
    for name in sorted(sums):
        own = sums[name]
        tensors.append(TensorPlan(f"{name}.in_sum2", own.squares.shape, TYPES["F32"]))
        tensors.append(TensorPlan(f"{name}.counts", (len(own.counts), 1), TYPES["F32"]))
        data += [own.squares, own.counts]
    most = max((int(own.counts.sum()) for own in sums.values()), default=0)
    pairs = [
        packed_text("general.type") + struct.pack("<I", _STRING) + packed_text("imatrix"),
        packed_text("imatrix.datasets") + struct.pack("<IIQ", _ARRAY, _STRING, 1) + packed_text(dataset),
        packed_text("imatrix.chunk_count") + struct.pack("<II", _UINT32, max(1, most // _CHUNK_TOKENS)),
        packed_text("imatrix.chunk_size") + struct.pack("<II", _UINT32, _CHUNK_TOKENS),
    ]
    plan = plan_files(path, Pairs(len(pairs), b"".join(pairs)), tensors, max_bytes=None)[0]
    unfinished = path.with_name(f"{path.name}.partial")
    with explain_disk_errors(path), unfinished.open("wb") as file:
        file.write(plan.head)
        for place, values in zip(plan.places, data, strict=True):
            file.write(bytes(place.start - file.tell()))
            file.write(np.ascontiguousarray(values, "<f4").tobytes())
        file.write(bytes(plan.num_bytes - file.tell()))
    if path.is_file() and not is_replacing and not filecmp.cmp(path, unfinished, shallow=False):
        unfinished.unlink()
        raise UsageError(f"{path} exists. Choose another name, or give --overwrite to replace files.")
    with explain_disk_errors(path):
        unfinished.replace(path)
