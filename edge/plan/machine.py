"""Say what a computer has for a model: this one as it is now, or a Mac by its name.

In: text such as `M4 16 GB`. Out: a `Machine`. macOS lets the GPU wire about three quarters of the memory; the rest,
and a reserve, stay with the system and other programs.
"""

from __future__ import annotations

import re

from edge.errors import UsageError
from edge.memory import MACOS_GPU_SHARE, RESERVE_BYTES, Precision, available_bytes, precision_for
from edge.records import dataclass

ON_METAL = Precision(itemsize=2, is_attention_fused=True, is_vision_fused=True)
_MEMORY = re.compile(r"(?:^|[\s,])(\d+)\s*(?:GB|GiB|G)?\s*$", re.I)


@dataclass(frozen=True, slots=True)
class Machine:
    """A computer.

    Attributes:
        name: What it is called.
        usable_bytes: What a model and its work may take.
        precision: How it computes.
    """

    name: str
    usable_bytes: int
    precision: Precision


def parse_mac(text: str) -> Machine:
    """Read a Mac's memory out of its name.

    Raises:
        UsageError: There is no size in it.
    """
    match = _MEMORY.search(text.strip())
    if match is None or not 4 <= int(match.group(1)) <= 2048:
        raise UsageError(
            f"--mac {text!r}: expected a size of memory at the end, such as 'M4 16 GB': whole GB from 4 to 2048."
        )
    usable = int(MACOS_GPU_SHARE * int(match.group(1)) * 2**30) - RESERVE_BYTES
    return Machine(text.strip(), usable, ON_METAL)


def here_precision() -> Precision:
    """Return how this computer computes."""
    import mlx.core as mx

    return precision_for(value_bytes=2 if mx.default_device().type == mx.DeviceType.gpu else 4)


def this_machine() -> Machine:
    """Measure this computer: what is free now, and how MLX computes here."""
    return Machine("this machine", available_bytes(), here_precision())
