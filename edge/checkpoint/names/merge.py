"""Add an adapter's updates to parameters, as the last operation of their rule.

A rule keeps its sources and shapes; whoever runs it (the runtime, every converter) gets merged weights.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from edge.checkpoint.names.ops import Arrays, Shapes
from edge.records import dataclass

# Makes what is added to a parameter, in its shape, float32.
MakeUpdate = Callable[[], mx.array]


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Add to each target what its maker gives, in float32; None leaves a target as it is.

    Attributes:
        updates: One per target of the rule.
        replaces: Take what the maker gives in place of the parameter.
    """

    updates: tuple[MakeUpdate | None, ...]
    replaces: bool = False

    def apply(self, arrays: Arrays) -> Arrays:
        """Add, one array at a time."""
        return tuple(
            array if make is None else self._merged(array, make)
            for array, make in zip(arrays, self.updates, strict=True)
        )

    def inverse(self, arrays: Arrays) -> Arrays:
        """Subtract.

        Raises:
            ValueError: What was replaced is lost.
        """
        if self.replaces:
            raise ValueError("a replaced parameter cannot be brought back")
        return tuple(
            array if make is None else array.astype(mx.float32) - make()
            for array, make in zip(arrays, self.updates, strict=True)
        )

    def source_shapes(self, shapes: Shapes) -> Shapes:
        """Return the shapes unchanged."""
        return shapes

    def _merged(self, array: mx.array, make: MakeUpdate) -> mx.array:
        merged = make() if self.replaces else array.astype(mx.float32) + make()
        assert merged.shape == array.shape, f"update of {merged.shape} for {array.shape}"
        mx.eval(merged)
        return merged
