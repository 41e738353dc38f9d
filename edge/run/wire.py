"""Keep a model in memory that macOS does not page out, where the user asked for it.

MLX wires nothing by itself. A wired limit at the largest recommended size was the trigger of kernel panics of macOS
under load, so nothing here is on by default, and what is wired stays below that size.
"""

from __future__ import annotations

import mlx.core as mx

from edge.errors import RequestError

MOST_SHARE = 0.9
"""Of the largest working set that Metal recommends."""


def wire(num_bytes: int) -> int:
    """Let MLX wire so many bytes, or a little less than Metal recommends at most; returns the limit.

    Raises:
        RequestError: There is no Metal here.
    """
    if not mx.metal.is_available():
        raise RequestError("wire: expected a Mac with Metal, found none here. Leave it out.", field="wire")
    recommended = int(mx.device_info()["max_recommended_working_set_size"])
    limit = min(num_bytes, int(MOST_SHARE * recommended))
    mx.set_wired_limit(limit)
    return limit
