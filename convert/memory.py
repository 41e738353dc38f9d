"""Refuse work that needs more memory than is free, before it begins."""

from __future__ import annotations

from edge.errors import MemoryPlanError
from edge.memory import GB, available_bytes


def check_memory(needed_bytes: int, *, what: str, advice: str, available: int | None = None) -> None:
    """Refuse work that does not fit.

    Args:
        needed_bytes: At its worst moment.
        what: What needs it, for the message.
        advice: How to need less.
        available: Bytes that are free; None measures them.

    Raises:
        MemoryPlanError: Less memory is free.
    """
    free = available_bytes() if available is None else available
    if needed_bytes > free:
        raise MemoryPlanError(
            f"{what} needs {needed_bytes / GB:.1f} GB of memory, {free / GB:.1f} GB are free. Close other programs, "
            f"or {advice}."
        )
