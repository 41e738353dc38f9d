"""Do one piece of a conversion: read rows, encode them, write them at their place.

Runs in worker processes, because the library that encodes blocks holds Python's lock. A worker opens the checkpoint
itself, so that nothing but row numbers is sent to it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path

import mlx.core as mx
import numpy as np

from convert.disk import OpenFiles
from convert.gguf.encode import Floats, check_finite, encode_rows
from convert.gguf.imatrix import Importance
from convert.gguf.layout import Place, TensorPlan
from convert.gguf.plan import Job
from convert.gguf.source import Unit, read_rows
from edge.weights.folder import Checkpoint, open_checkpoint
from edge.weights.names_hf import PATCH_EMBED


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker needs to know; small enough to send.

    Attributes:
        folder: The source.
        partial: Where the unfinished files lie.
        units: What is read together.
        places: Parameter -> where its tensors go.
        importance: Weights of inputs by tensor.
    """

    folder: Path
    partial: Path
    units: tuple[Unit, ...]
    places: Mapping[str, tuple[Place, ...]]
    importance: Importance


class Worker:
    """An open checkpoint and the files to write to."""

    def __init__(self, task: Task, checkpoint: Checkpoint) -> None:
        """Open the files."""
        self._task = task
        self._checkpoint = checkpoint
        names = {place.path.name for places in task.places.values() for place in places}
        self._files = OpenFiles(task.partial, sorted(names))

    def run(self, job: Job) -> str:
        """Convert and write the rows of a job; return the hash of their bytes.

        Raises:
            WeightError: A value is not finite.
            OutputError: The disk is full or fails.
        """
        digest = self._files.write(job.extents, self._encode(job))
        mx.clear_cache()
        return digest

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _encode(self, job: Job) -> Iterator[memoryview]:
        """Yield the bytes of each tensor's rows."""
        unit = self._task.units[job.unit]
        for name, rows in read_rows(self._checkpoint, unit, job.start, job.stop).items():
            check_finite(rows, name)
            parts = _frames(rows) if name == PATCH_EMBED else [rows]
            for place, part in zip(self._task.places[name], parts, strict=True):
                yield self._encode_tensor(place.tensor, part, job.start)

    def _encode_tensor(self, tensor: TensorPlan, rows: Floats, start: int) -> memoryview:
        weights = self._task.importance.get(tensor.name)
        if weights is None or rows.ndim < 3:
            return encode_rows(rows.reshape(-1, rows.shape[-1]), tensor.type, importance=weights)
        by_expert = weights.reshape(tensor.shape[0], -1)[start : start + len(rows)]
        experts = (
            encode_rows(matrix, tensor.type, importance=own) for matrix, own in zip(rows, by_expert, strict=True)
        )
        return memoryview(b"".join(experts))


def _frames(rows: Floats) -> list[Floats]:
    """Take the patch convolution (O, T, H, W, C) apart into frames (O, C, H, W)."""
    frames = rows.transpose(1, 0, 4, 2, 3)
    return [np.ascontiguousarray(frame) for frame in frames]


_worker: Worker | None = None


def start_worker(task: Task) -> None:
    """Open the checkpoint in this process (the initializer of a worker process)."""
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Worker(task, open_checkpoint(task.folder))


def run_job(job: Job) -> str:
    """Run a job in this process, after `start_worker`; return the hash of its bytes."""
    assert _worker is not None, "start_worker runs first"
    return _worker.run(job)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
