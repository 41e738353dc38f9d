"""Change tensors on the way from a file to the model, and back.

Each operation maps a tuple of arrays to a tuple of arrays (most: one to one), has an exact inverse
(FP8: exact up to rounding to its grid), and says which source shapes give wanted target shapes.
Results may be views; `Rule` makes them contiguous once, at the end.
"""

from __future__ import annotations

from typing import Protocol

import mlx.core as mx

from edge.records import dataclass

Arrays = tuple[mx.array, ...]
Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]

FP8_MAX = 448.0  # largest e4m3fn number


class Op(Protocol):
    """One invertible step between source and target tensors."""

    def apply(self, arrays: Arrays) -> Arrays:
        """Turn source arrays into target arrays."""
        ...

    def inverse(self, arrays: Arrays) -> Arrays:
        """Turn target arrays into source arrays."""
        ...

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Return the source shapes that give these target shapes."""
        ...


@dataclass(frozen=True, slots=True)
class Transpose:
    """Permute the axes of one array: target axis i is source axis `axes[i]`."""

    axes: tuple[int, ...]

    def apply(self, arrays: Arrays) -> Arrays:
        """Permute."""
        return (arrays[0].transpose(self.axes),)

    def inverse(self, arrays: Arrays) -> Arrays:
        """Permute back."""
        return (arrays[0].transpose(self._inverse_axes()),)

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Permute a shape back."""
        return (tuple(shapes[0][axis] for axis in self._inverse_axes()),)

    def _inverse_axes(self) -> tuple[int, ...]:
        return tuple(self.axes.index(axis) for axis in range(len(self.axes)))


@dataclass(frozen=True, slots=True)
class Split:
    """Cut one array into equal parts along an axis; the inverse concatenates."""

    axis: int
    parts: int = 2

    def apply(self, arrays: Arrays) -> Arrays:
        """Cut."""
        return tuple(mx.split(arrays[0], self.parts, axis=self.axis))

    def inverse(self, arrays: Arrays) -> Arrays:
        """Concatenate."""
        return (mx.concatenate(list(arrays), axis=self.axis),)

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Multiply the axis."""
        shape = list(shapes[0])
        shape[self.axis] *= self.parts
        return (tuple(shape),)


@dataclass(frozen=True, slots=True)
class Join:
    """Put arrays side by side along an axis; `sizes` are their lengths there. The inverse cuts."""

    axis: int
    sizes: tuple[int, ...]

    def apply(self, arrays: Arrays) -> Arrays:
        """Concatenate."""
        return (mx.concatenate(list(arrays), axis=self.axis),)

    def inverse(self, arrays: Arrays) -> Arrays:
        """Cut."""
        ends = [sum(self.sizes[:count]) for count in range(1, len(self.sizes))]
        return tuple(mx.split(arrays[0], ends, axis=self.axis))

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Give each array its own length."""
        axis = self.axis % len(shapes[0])
        return tuple((*shapes[0][:axis], size, *shapes[0][axis + 1 :]) for size in self.sizes)


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeat each array along a new first axis, `counts` times each; the inverse takes the first.

    `unit_axes` of length one come between the new axis and the array's own.
    """

    counts: tuple[int, ...]
    unit_axes: int = 0

    def apply(self, arrays: Arrays) -> Arrays:
        """Repeat."""
        lead = (None,) * (1 + self.unit_axes)
        return tuple(mx.repeat(array[lead], count, axis=0) for array, count in zip(arrays, self.counts, strict=True))

    def inverse(self, arrays: Arrays) -> Arrays:
        """Take the first of each."""
        return tuple(array[(0,) * (1 + self.unit_axes)] for array in arrays)

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Drop the axes."""
        return tuple(shape[1 + self.unit_axes :] for shape in shapes)


@dataclass(frozen=True, slots=True)
class Unstack:
    """Take one array apart along an axis that disappears; the inverse stacks."""

    axis: int
    parts: int

    def apply(self, arrays: Arrays) -> Arrays:
        """Take apart."""
        parts = mx.split(arrays[0], self.parts, axis=self.axis)
        return tuple(part.squeeze(self.axis) for part in parts)

    def inverse(self, arrays: Arrays) -> Arrays:
        """Stack."""
        return (mx.stack(list(arrays), axis=self.axis),)

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Insert the axis."""
        shape = list(shapes[0])
        axis = self.axis % (len(shape) + 1)
        return ((*shape[:axis], self.parts, *shape[axis:]),)


@dataclass(frozen=True, slots=True)
class Inverse:
    """Use an operation the other way round. `shape` is the single source shape where `apply` is many to one."""

    op: Op
    shapes: Shapes

    def apply(self, arrays: Arrays) -> Arrays:
        """Apply the inner operation's inverse."""
        return self.op.inverse(arrays)

    def inverse(self, arrays: Arrays) -> Arrays:
        """Apply the inner operation."""
        return self.op.apply(arrays)

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Return the given shapes; they cannot be derived."""
        return self.shapes


@dataclass(frozen=True, slots=True)
class Fp8Blocks:
    """Decode e4m3 codes with one float32 scale per block of the last two axes: weight = code * scale.

    Source: (codes uint8 (..., R, C), scales float32 (..., ceil(R / block rows), ceil(C / block columns))).
    Target: weight of `dtype` (..., R, C). The hub names the scale `weight_scale_inv` and multiplies all the same.
    """

    block_shape: tuple[int, int]
    dtype: mx.Dtype = mx.float32

    def apply(self, arrays: Arrays) -> Arrays:
        """Decode, one matrix at a time so that float32 copies stay small."""
        codes, scales = arrays
        if codes.ndim == 2:
            return (self._decode(codes, scales),)
        matrices = []
        for index in range(codes.shape[0]):
            matrices.append(self.apply((codes[index], scales[index]))[0])
            mx.eval(matrices[-1])
        return (mx.stack(matrices),)

    def inverse(self, arrays: Arrays) -> Arrays:
        """Encode with the largest magnitude of a block at the largest code."""
        weight = arrays[0].astype(mx.float32)
        rows, columns = weight.shape[-2:]
        lead = weight.shape[:-2]
        scale_shape = self._scale_shape(weight.shape)
        block_rows, block_columns = self.block_shape
        padding = [(0, 0)] * len(lead) + [
            (0, scale_shape[-2] * block_rows - rows),
            (0, scale_shape[-1] * block_columns - columns),
        ]
        blocks = mx.pad(mx.abs(weight), padding).reshape(
            *lead, scale_shape[-2], block_rows, scale_shape[-1], block_columns
        )
        largest = blocks.max(axis=(-3, -1))  # one per block
        scales = mx.where(largest > 0, largest / FP8_MAX, 1.0)
        return mx.to_fp8(weight / self._spread(scales, rows, columns)), scales

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Return the shapes of codes and scales."""
        return shapes[0], self._scale_shape(shapes[0])

    def _decode(self, codes: mx.array, scales: mx.array) -> mx.array:
        rows, columns = codes.shape
        weight = mx.from_fp8(codes, mx.float32) * self._spread(scales.astype(mx.float32), rows, columns)
        return weight.astype(self.dtype)

    def _spread(self, scales: mx.array, rows: int, columns: int) -> mx.array:
        by_row = mx.repeat(scales, self.block_shape[0], axis=-2)[..., :rows, :]
        return mx.repeat(by_row, self.block_shape[1], axis=-1)[..., :columns]

    def _scale_shape(self, shape: Shape) -> Shape:
        rows, columns = shape[-2:]
        return (*shape[:-2], -(-rows // self.block_shape[0]), -(-columns // self.block_shape[1]))
