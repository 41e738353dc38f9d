"""Read llama.cpp's importance files, old binary and GGUF, as untrusted data.

In: a path. Out: tensor name -> one weight per input (per expert and input for stacks), float32.
Source of both layouts: llama.cpp `tools/imatrix`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.checkpoint.files.gguf import MAGIC, open_gguf
from edge.checkpoint.names.ops import Shape
from edge.errors import WeightError

Importance = Mapping[str, NDArray[np.float32]]
_AGAIN = "Make it again with llama-imatrix."


def read_importance(path: Path) -> Importance:
    """Read an importance file.

    Raises:
        WeightError: It is missing, cut, empty, or holds values that are no weights.
    """
    try:
        with path.open("rb") as file:
            is_gguf = file.read(4) == MAGIC
    except OSError as error:
        raise WeightError(f"{path}: cannot be read ({error.strerror}). Check the path of --imatrix.") from None
    with np.errstate(all="ignore"):  # what is not finite is refused below
        found = _read_gguf(path) if is_gguf else _read_old(path)
    if not found:
        raise WeightError(f"{path}: expected an importance file, found no entry. {_AGAIN}")
    for name, values in found.items():
        if not np.isfinite(values).all() or (values < 0).any():
            raise WeightError(f"{path}: {name} has weights that are negative or not finite. {_AGAIN}")
    return found


def choose_importance(importance: Importance, shapes: Mapping[str, Shape], *, where: Path) -> Importance:
    """Return the entries of the tensors that will be written; others are left aside, as llama.cpp does.

    Raises:
        WeightError: An entry has not one weight per input, and per expert where the tensor is a stack.
    """
    found = {name: values for name, values in importance.items() if name in shapes}
    for name, values in found.items():
        shape = shapes[name]
        wanted = shape[-1] * (shape[0] if len(shape) == 3 else 1)
        if len(values) != wanted:
            raise WeightError(
                f"{where}: {name} has {len(values)} weights, expected {wanted}. "
                "Choose the importance file of this very model."
            )
    return found


def _read_gguf(path: Path) -> Importance:
    file = open_gguf(path)
    if file.metadata.get("general.type", "imatrix") != "imatrix":
        raise WeightError(f"{path}: expected an importance file, found a model. Choose another with --imatrix.")
    found = {}
    for name in file.tensors:
        base = name.removesuffix(".in_sum2")
        if base == name:
            continue
        if f"{base}.counts" not in file.tensors:
            raise WeightError(f"{path}: {base} has sums, but no counts. {_AGAIN}")
        sums, counts = (_floats(file.read_bytes(f"{base}.{part}"), path) for part in ("in_sum2", "counts"))
        if not len(counts) or len(sums) % len(counts):
            raise WeightError(f"{path}: {base} has {len(sums)} sums for {len(counts)} counts. {_AGAIN}")
        counts = counts[:, None]
        # An expert that saw no token counts all inputs alike.
        means = np.where(counts > 0, sums.reshape(len(counts), -1) / np.where(counts > 0, counts, 1), 1)
        found[base] = np.ascontiguousarray(means.ravel(), np.float32)
    return found


def _floats(raw: NDArray[np.uint8], path: Path) -> NDArray[np.float32]:
    if raw.nbytes % 4:
        raise WeightError(f"{path}: expected float32 sums. {_AGAIN}")
    return np.ascontiguousarray(raw).reshape(-1).view("<f4")


def _read_old(path: Path) -> Importance:
    data = path.read_bytes()
    position = 0

    def take(num_bytes: int) -> bytes:
        nonlocal position
        if not 0 <= num_bytes <= len(data) - position:
            raise WeightError(
                f"{path}: expected an importance file, found one that is cut or of another kind. {_AGAIN}"
            )
        position += num_bytes
        return data[position - num_bytes : position]

    def number() -> int:
        return int(struct.unpack("<i", take(4))[0])

    found = {}
    for _ in range(number()):
        name = take(number()).decode(errors="replace")
        num_calls, num_values = number(), number()
        values = np.frombuffer(take(4 * num_values), "<f4").astype(np.float32)
        found[name] = values / np.float32(num_calls) if num_calls > 0 else values
    return found
