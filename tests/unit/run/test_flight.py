"""Work is held to its plan: MLX queues no more than that, and afterwards as much as before."""

from __future__ import annotations

import mlx.core as mx
import pytest

from edge.run.flight import held_to

ROWS = 1 << 20
STEP_BYTES = 4 * ROWS


def peak_of_many_steps(planned_bytes: int) -> int:
    """Return what a long chain of operations takes whose results are needed once each."""
    start = mx.ones((ROWS,))
    mx.eval(start)
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    with held_to(planned_bytes):
        found = start
        for _ in range(60):
            found = mx.exp(start) - found
        mx.eval(found)
    return int(mx.get_peak_memory() - before)


def test_a_long_chain_takes_what_was_planned_and_no_more() -> None:
    planned = 8 * STEP_BYTES
    assert peak_of_many_steps(planned) <= planned
    assert peak_of_many_steps(1 << 40) > 2 * planned  # as far as MLX queues


def test_the_limit_is_the_usual_one_afterwards_whatever_happened() -> None:
    usual = mx.set_memory_limit(1 << 40)
    mx.set_memory_limit(usual)
    with pytest.raises(ValueError, match="broken"), held_to(0):
        raise ValueError("broken")
    assert mx.set_memory_limit(usual) == usual
