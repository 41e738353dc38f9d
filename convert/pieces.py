"""Read a checkpoint in pieces of bounded size: the rows of a rule's tensors that become rows of its targets.

In: an opened `Checkpoint`. Out: `Piece`s that together cover every target once, in any order, and the arrays of one
piece. Rows are those of axis 0: experts of an expert tensor, outputs of a matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import mlx.core as mx

from convert.disk import Extent
from convert.work import Step
from edge.checkpoint.files.dtypes import FLOATS
from edge.checkpoint.files.header import TensorInfo
from edge.checkpoint.files.rows import read_rows
from edge.checkpoint.folder import Checkpoint
from edge.checkpoint.names.hub import expected_parameters, packed_targets
from edge.checkpoint.names.ops import Arrays, Fp8Blocks, Op, Shapes, Split, Transpose
from edge.checkpoint.names.table import Rule, Target
from edge.config import LayerQuantization
from edge.errors import SpoiledError, WeightError

PIECE_WEIGHTS = 2**23
Infos = Mapping[str, TensorInfo]


_PACKED = ("U32", "U8")  # words and scales


@dataclass(frozen=True, slots=True)
class Dequantize:
    """Turn an MLX packed weight back into floats: (words, scales, biases of affine forms) -> float32."""

    form: LayerQuantization
    name: str

    def apply(self, arrays: Arrays) -> Arrays:
        """Unpack; the scales are widened first, so that nothing is rounded."""
        form = self.form
        words, scales, *rest = arrays
        biases = rest[0].astype(mx.float32) if rest else None
        scales = scales.astype(mx.float32) if form.mode == "affine" else scales
        weight = mx.dequantize(words, scales, biases, group_size=form.group_size, bits=form.bits, mode=form.mode)
        if not mx.isfinite(weight).all():
            raise SpoiledError(f"{self.name} holds values that are infinite or no number. Choose a sound checkpoint.")
        return (weight.astype(mx.float32),)

    def inverse(self, arrays: Arrays) -> Arrays:
        """Pack."""
        form = self.form
        return tuple(mx.quantize(arrays[0], group_size=form.group_size, bits=form.bits, mode=form.mode))

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Return the shapes of words and scales."""
        return tuple(target.shape for target in packed_targets(self.name, shapes[0], self.form))


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


def list_rules(checkpoint: Checkpoint) -> list[Rule]:
    """Return how a checkpoint's tensors become unpacked parameters, in the order in which they lie in the files."""
    shapes = expected_parameters(checkpoint.config)
    by_target = {target.name: rule for rule in checkpoint.rules for target in rule.targets}
    rules = []
    for rule in checkpoint.rules:
        module, _, part = rule.targets[0].name.rpartition(".")
        form = checkpoint.quantized.get(module)
        if form is None or part not in ("weight", "scales", "biases"):
            rules.append(rule)
        elif part == "weight":
            name = f"{module}.weight"
            packed = packed_targets(name, shapes[name], form)
            sources = tuple(by_target[target.name].sources[0] for target in packed)
            rules.append(Rule(sources, (Target(name, shapes[name]),), (Dequantize(form, name),)))
    infos = checkpoint.source.tensors
    return sorted(rules, key=lambda rule: max((infos[name].path.name, infos[name].start) for name in rule.sources))


def cut_checkpoint(checkpoint: Checkpoint) -> list[Piece]:
    """Cut all rules of a checkpoint; the order decides nothing but how files are read."""
    return [piece for rule in list_rules(checkpoint) for piece in cut_rule(rule)]


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


def step_of(piece: Piece, infos: Infos, extents: Sequence[Extent], *, num_tensors: float | None = None) -> Step:
    """Describe a piece for the line.

    Args:
        piece: What is read.
        infos: Where the source's tensors lie.
        extents: Where its bytes go.
        num_tensors: What the progress counts; the piece's targets if None.
    """
    reads = [(infos[name], stop - start) for name, (start, stop) in zip(piece.rule.sources, piece.sources, strict=True)]
    return Step(
        extents,
        source_bytes=sum(info.num_bytes * num_rows // max(info.shape[0], 1) for info, num_rows in reads),
        num_tensors=piece.num_targets if num_tensors is None else num_tensors,
        shards=frozenset(info.path.name for info, _ in reads),
    )


def read_piece(infos: Infos, piece: Piece) -> dict[str, mx.array]:
    """Read a piece and apply its operations.

    Args:
        infos: Where the source's tensors lie.
        piece: What to read.

    Returns:
        Target name -> its rows, not evaluated, in the type they are stored in (FP8: what it is decoded to).

    Raises:
        WeightError: A tensor holds inf or NaN, or its file cannot be read.
    """
    arrays = [
        _read(infos[name], name, start=start, stop=stop)
        for name, (start, stop) in zip(piece.rule.sources, piece.sources, strict=True)
    ]
    return piece.rule.apply(arrays)


def _read(info: TensorInfo, name: str, *, start: int, stop: int) -> mx.array:
    if info.dtype not in (*FLOATS, *_PACKED):
        raise WeightError(
            f"{info.path}: {name} is stored as {info.dtype}, expected {', '.join(FLOATS)}. "
            "Choose the bf16 or FP8 checkpoint."
        )
    return read_rows(info, name, start, stop, is_checked=True)


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
        case Dequantize():
            return 1
    return None
