"""Read a checkpoint in pieces of bounded size: the rows of a rule's tensors that become rows of its targets.

In: an opened `Checkpoint`. Out: `Piece`s that together cover every target once, in any order, and the arrays of one
piece. Rows are those of axis 0: experts of an expert tensor, outputs of a matrix. Files are read with plain reads,
not through a mapping, so that memory holds the piece and nothing of the file around it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import mlx.core as mx
import numpy as np

from edge.errors import WeightError
from edge.weights.header import ITEM_BITS, TensorInfo
from edge.weights.ops import Fp8Blocks, Op, Split, Transpose
from edge.weights.shards import TensorSource
from edge.weights.table import Rule

PIECE_WEIGHTS = 2**23
_HASH_BYTES = 2**22
# stored dtype -> numpy's type, MLX's meaning of the bits, and the exponent bits that only inf and NaN have
_READ_AS: dict[str, tuple[str, mx.Dtype | None, int]] = {
    "F32": ("<u4", mx.float32, 0x7F80_0000),
    "F16": ("<u2", mx.float16, 0x7C00),
    "BF16": ("<u2", mx.bfloat16, 0x7F80),
    "F8_E4M3": ("u1", None, 0),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of what one rule makes.

    Attributes:
        rule: Its targets have the piece's shapes; ranges in `sources` say what to read.
        whole: The rule as the checkpoint has it.
        start: First row in every target.
        stop: Row behind the last one.
        sources: Row range of each source tensor, in the order of the rule.
    """

    rule: Rule
    whole: Rule
    start: int
    stop: int
    sources: tuple[tuple[int, int], ...]

    @property
    def num_weights(self) -> int:
        """Numbers in all targets of the piece."""
        return sum(prod(target.shape) for target in self.rule.targets)

    @property
    def num_targets(self) -> float:
        """Targets that the piece makes, parts of one as a fraction."""
        return len(self.rule.targets) * (self.stop - self.start) / self.whole.targets[0].shape[0]


def cut_rule(rule: Rule, *, piece_weights: int = PIECE_WEIGHTS) -> Iterator[Piece]:
    """Cut a rule into pieces of about `piece_weights` numbers; a rule whose operations mix rows stays whole."""
    num_rows = rule.targets[0].shape[0]
    row_weights = max(1, sum(prod(target.shape[1:]) for target in rule.targets))
    step = max(1, piece_weights // row_weights)
    unit = _row_unit(rule)
    if unit is None:
        step = num_rows
    else:
        step = max(unit, step - step % unit)
    for start in range(0, num_rows, step):
        stop = min(start + step, num_rows)
        targets = tuple(replace(target, shape=(stop - start, *target.shape[1:])) for target in rule.targets)
        part = replace(rule, targets=targets)
        counts = [shape[0] for shape in part.source_shapes()]
        # Scales of FP8 matrices have fewer rows; both ranges begin at the same block.
        starts = [
            start * shape[0] // num_rows if shape[0] == num_rows else start // (unit or 1)
            for shape in rule.source_shapes()
        ]
        ranges = tuple((first, first + count) for first, count in zip(starts, counts, strict=True))
        yield Piece(part, rule, start, stop, ranges)


def read_piece(source: TensorSource, piece: Piece) -> dict[str, mx.array]:
    """Read a piece and apply its operations.

    Returns:
        Target name -> its rows, not evaluated, in the type they are stored in (FP8: what it is decoded to).

    Raises:
        WeightError: A tensor holds inf or NaN, or its file cannot be read.
    """
    arrays = [
        read_rows(source.tensors[name], name, start=start, stop=stop)
        for name, (start, stop) in zip(piece.rule.sources, piece.sources, strict=True)
    ]
    return piece.rule.apply(arrays)


def read_rows(info: TensorInfo, name: str, *, start: int, stop: int) -> mx.array:
    """Read rows of axis 0 of a tensor.

    Args:
        info: Where the tensor lies.
        name: For messages.
        start: First row.
        stop: Row behind the last one.

    Raises:
        WeightError: The rows hold inf or NaN, the dtype is not a float, or the file cannot be read.
    """
    if info.dtype not in _READ_AS:
        raise WeightError(
            f"{info.path}: {name} is stored as {info.dtype}, expected {', '.join(_READ_AS)}. "
            "Choose the bf16 or FP8 checkpoint."
        )
    numpy_type, meaning, exponent = _READ_AS[info.dtype]
    row_items = prod(info.shape[1:])
    offset = info.start + start * row_items * ITEM_BITS[info.dtype] // 8
    try:
        bits = np.fromfile(info.path, dtype=numpy_type, count=(stop - start) * row_items, offset=offset)
    except OSError as error:
        raise WeightError(f"{info.path}: {name} cannot be read ({error.strerror}). Check the disk.") from None
    if bits.size != (stop - start) * row_items:
        raise WeightError(f"{info.path}: truncated while it was read, at {name}. Download it again.")
    wrong = np.count_nonzero((bits & 0x7F) == 0x7F if exponent == 0 else (bits & exponent) == exponent)
    if wrong:
        raise WeightError(
            f"{info.path}: {name} holds {wrong} values that are infinite or no number. The shard is damaged; "
            "download it again."
        )
    array = mx.array(bits.reshape(stop - start, *info.shape[1:]))
    return array if meaning is None else array.view(meaning)


def mark_files(paths: Iterable[Path]) -> dict[str, str]:
    """Return by name what tells each file from a changed one; reading 60 GB to tell better would take minutes."""
    statuses = {path.name: path.stat() for path in sorted(paths)}
    return {name: f"{status.st_size} bytes of {status.st_mtime_ns}" for name, status in statuses.items()}


def sha256_of(path: Path, *, on_bytes: Callable[[int], None] | None = None) -> str:
    """Compute the sha256 of a file, a few megabytes at a time.

    Args:
        path: The file.
        on_bytes: Called after each part with its length; may raise to stop.

    Raises:
        WeightError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while part := file.read(_HASH_BYTES):
                digest.update(part)
                if on_bytes is not None:
                    on_bytes(len(part))
    except OSError as error:
        raise WeightError(f"{path}: cannot be read ({error.strerror}). Check the file and the disk.") from None
    return digest.hexdigest()


def _row_unit(rule: Rule) -> int | None:
    """Return how many rows have to stay together, None if all."""
    unit = 1
    for op in rule.ops:
        rows = _op_row_unit(op, num_axes=len(rule.targets[0].shape))
        if rows is None:
            return None
        unit = max(unit, rows)
    return unit


def _op_row_unit(op: Op, *, num_axes: int) -> int | None:
    match op:
        case Transpose(axes=axes):
            return 1 if axes[0] == 0 else None
        case Split(axis=axis):
            return 1 if axis % num_axes != 0 else None
        case Fp8Blocks(block_shape=(block_rows, _)):
            return block_rows if num_axes == 2 else 1
    return None
