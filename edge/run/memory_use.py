"""Tell what an engine's memory is used for now, beside what was planned."""

from __future__ import annotations

from edge.memory import MemoryPlan
from edge.records import dataclass


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes of one engine; all but `free_bytes` are what MLX holds for this program.

    Attributes:
        weight_bytes: The weights.
        running_bytes: Keys and values of requests that run.
        reserved_bytes: What these may grow to.
        kept_bytes: Keys and values of finished turns.
        vision_bytes: Kept results of the vision tower.
        active_bytes: All arrays that are alive.
        spare_bytes: Freed buffers kept for the next ones.
        peak_bytes: Most that was alive at a time since the engine was last idle before a request.
        free_bytes: What new work may use beyond that.
        plan: The last request's plan; None before the first.
    """

    weight_bytes: int
    running_bytes: int
    reserved_bytes: int
    kept_bytes: int
    vision_bytes: int
    active_bytes: int
    spare_bytes: int
    peak_bytes: int
    free_bytes: int
    plan: MemoryPlan | None

    @property
    def planned_bytes(self) -> int:
        """What the last request was planned to need at most, with the weights; compare with `peak_bytes`."""
        return self.weight_bytes + (self.plan.needed_bytes if self.plan else 0)
