from __future__ import annotations

from edge.chat.commands.memory import describe_memory
from edge.memory import MemoryPlan
from edge.run.memory_use import MemoryUse

PLAN = MemoryPlan(
    kv_bytes=10**8,
    prefill_bytes=3 * 10**8,
    vision_bytes=0,
    available_bytes=9 * 10**9,
    kv_bytes_per_token=1000,
    new_tokens=100,
)
USE = MemoryUse(4 * 10**9, 0, 0, 10**8, 0, 4_200_000_000, 0, 4_300_000_000, 5 * 10**9, PLAN)


def test_planned_stands_beside_used() -> None:
    text = "\n".join(describe_memory(USE))
    assert "4.000 GB  weights" in text
    assert f"{USE.planned_bytes / 1e9:.3f} GB  planned at most" in text
    assert "4.300 GB  used at most" in text
    assert "running" not in text


def test_before_an_answer_nothing_is_planned() -> None:
    use = MemoryUse(4 * 10**9, 0, 0, 0, 0, 4 * 10**9, 0, 4 * 10**9, 5 * 10**9, None)
    assert "nothing was planned" in "\n".join(describe_memory(use))
