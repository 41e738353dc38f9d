"""Hold MLX back while a piece of work has more in memory than was planned for it.

MLX queues the operations of a graph far ahead of the device, and what an operation gives takes memory from when it is
queued: on a GPU the results of many layers, on the CPU those of a hundred operations. Above its memory limit MLX waits
for what is queued before it queues more. So the limit is set to the plan while a picture is looked at or a prompt is
read, and the plan holds however deep a model is. Decoding queues little and is not held back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import mlx.core as mx

LEAST_BYTES = {mx.DeviceType.cpu: 1 << 23, mx.DeviceType.gpu: 1 << 29}
"""A device with less queued would wait for work; a CPU is never idle, the queue is its own."""
SHARE = 0.75
"""Of the plan: MLX looks before it queues an operation, so one may go over the limit."""
_first_look = threading.Lock()
"""The limit is MLX's, one for all engines: no thread may lower it while another asks what it is usually."""


@contextmanager
def held_to(num_bytes: int) -> Iterator[None]:
    """Let MLX hold about so many bytes beside what is in memory now, as long as this lasts."""
    with _first_look:
        usual = _usual_limit()
    ahead = max(int(SHARE * num_bytes), LEAST_BYTES[mx.default_device().type])
    mx.set_memory_limit(min(usual, int(mx.get_active_memory()) + ahead))
    try:
        yield
    finally:
        mx.set_memory_limit(usual)


@cache
def _usual_limit() -> int:
    """Return MLX's limit before anything here changed it."""
    return int(mx.get_memory_limit())
