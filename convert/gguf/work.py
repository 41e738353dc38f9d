"""Do one piece of a conversion: read rows, encode them, write them at their place.

Runs in worker processes, because the library that encodes blocks holds Python's lock. A worker opens the checkpoint
itself, so that nothing but row numbers is sent to it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path

import mlx.core as mx
import numpy as np

from convert.gguf.encode import Floats, check_finite, encode_rows
from convert.gguf.imatrix import Importance
from convert.gguf.layout import Place
from convert.gguf.plan import Job
from convert.gguf.source import Unit, read_rows
from edge.weights.folder import Checkpoint, open_checkpoint
from edge.weights.names_hf import PATCH_EMBED

PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker needs to know; small enough to send."""

    folder: Path
    units: tuple[Unit, ...]
    places: Mapping[str, tuple[Place, ...]]
    importance: Importance


class Worker:
    """An open checkpoint and the files to write to."""

    def __init__(self, task: Task, checkpoint: Checkpoint) -> None:
        """Open nothing yet: files are opened when the first row goes there."""
        self._task = task
        self._checkpoint = checkpoint
        self._files: dict[Path, int] = {}

    def run(self, job: Job) -> Job:
        """Convert and write the rows of a job.

        Raises:
            WeightError: A value is not finite.
            OSError: The disk is full or gone.
        """
        unit = self._task.units[job.unit]
        for name, rows in read_rows(self._checkpoint, unit, job.start, job.stop).items():
            check_finite(rows, name)
            places = self._task.places[name]
            if name == PATCH_EMBED:
                for place, frame in zip(places, _frames(rows), strict=True):
                    self._write(place, frame, 0)
            else:
                self._write(places[0], rows, job.start)
        mx.clear_cache()
        return job

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def _write(self, place: Place, rows: Floats, start: int) -> None:
        """Write rows of the first axis, one expert at a time where there are several."""
        tensor = place.tensor
        step_bytes = tensor.num_bytes // tensor.shape[0]
        weights = self._task.importance.get(tensor.name)
        if weights is None:
            self._put(place, start * step_bytes, encode_rows(rows.reshape(-1, rows.shape[-1]), tensor.type))
        elif rows.ndim == 3:
            by_expert = weights.reshape(tensor.shape[0], -1)
            for offset, matrix in enumerate(rows, start=start):
                data = encode_rows(matrix, tensor.type, importance=by_expert[offset])
                self._put(place, offset * step_bytes, data)
        else:
            self._put(place, start * step_bytes, encode_rows(rows, tensor.type, importance=weights))

    def _put(self, place: Place, offset: int, data: memoryview) -> None:
        path = place.path.with_name(place.path.name + PARTIAL)
        if path not in self._files:
            self._files[path] = os.open(path, os.O_WRONLY)
        position = place.start + offset
        while data:
            written = os.pwrite(self._files[path], data, position)
            data, position = data[written:], position + written


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


def run_job(job: Job) -> Job:
    """Run a job in this process, after `start_worker`."""
    assert _worker is not None, "start_worker runs first"
    return _worker.run(job)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
