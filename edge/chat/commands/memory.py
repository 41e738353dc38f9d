"""A command that tells what memory was planned and is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.chat.commands.command import Command
from edge.memory import GB

if TYPE_CHECKING:
    from edge.chat.talk import Talk
    from edge.run.memory_use import MemoryUse


def describe_memory(use: MemoryUse) -> list[str]:
    """Write an engine's memory as lines: parts, the peak beside its plan, what is left."""
    rows = [
        (use.weight_bytes, "weights"),
        (use.kept_bytes, "keys and values of what was said"),
        (use.running_bytes, "keys and values of answers that run"),
        (use.vision_bytes, "pictures as the model saw them"),
        (use.spare_bytes, "freed buffers, kept for the next answer"),
        (use.active_bytes, "in use now, in all"),
    ]
    lines = [f"{size / GB:8.3f} GB  {text}" for size, text in rows if size]
    plan = use.plan
    if plan is None:
        lines.append("nothing was answered yet, so nothing was planned")
    else:
        parts = ((plan.kv_bytes, "keys and values"), (plan.prefill_bytes, "prompt"), (plan.vision_bytes, "pictures"))
        of = ", ".join(f"{name} {size / GB:.3f}" for size, name in parts if size)
        lines.append(
            f"{use.planned_bytes / GB:8.3f} GB  planned at most for the last answer (beside the weights: {of})"
        )
        lines.append(f"{use.peak_bytes / GB:8.3f} GB  used at most for it")
    lines.append(f"{use.free_bytes / GB:8.3f} GB  free for more")
    return lines


def _memory(talk: Talk, _: str) -> None:
    talk.screen.plain("\n".join(describe_memory(talk.engine.memory())))


COMMANDS = (Command("/memory", _memory, "", "memory planned and used", aliases=("/mem",)),)
