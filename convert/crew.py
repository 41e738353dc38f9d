"""Do many pieces of work side by side, in threads or in processes; each is encoded and written to its place.

In: an `Encoder` of one format, and where every piece goes. Out: number and sha256 of each piece as it is written. MLX
computes without Python's lock, so threads do; the library that encodes GGUF blocks holds it and needs processes.
"""

from __future__ import annotations

import copyreg
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import mlx.core as mx

from convert.disk import Extent, OpenFiles, OutputError
from convert.interrupt import hold_interrupts

_CACHE_BYTES = 2**27  # freed buffers that MLX keeps for the next piece
Digests = Iterator[tuple[int, str]]

# Operations name dtypes, which MLX cannot send to another process.
copyreg.pickle(mx.Dtype, lambda dtype: (_dtype_of, (str(dtype).rpartition(".")[2],)))


def _dtype_of(name: str) -> Any:  # Any: an attribute by name
    return getattr(mx, name)


class Encoder(Protocol):
    """What is special to a format: the bytes of a piece."""

    def encode(self, number: int) -> Iterable[memoryview]:
        """Read and encode a piece; one entry per extent. Raises EdgeError."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """All work: who encodes, the folder of the unfinished files, and where in them each piece goes."""

    encoder: Encoder
    folder: Path
    extents: Sequence[Sequence[Extent]]


class Crew(Protocol):
    """Workers, between entering and leaving a `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(self, numbers: Sequence[int]) -> Digests:
        """Do these pieces; yield number and sha256 of each, in the order in which they end. Raises EdgeError."""
        ...


class _Worker:
    """The open files and the encoder of one thread or process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        names = {extent.file_name for extents in task.extents for extent in extents}
        self._files = OpenFiles(task.folder, sorted(names))

    def run(self, number: int) -> str:
        """Encode and write a piece; return the hash of its bytes."""
        return self._files.write(self._task.extents[number], self._task.encoder.encode(number))

    def close(self) -> None:
        self._files.close()


class Threads:
    """Threads with an MLX stream each."""

    def __init__(self, task: Task, *, count: int) -> None:
        self._task, self._count = task, count
        self._lane = threading.local()
        self._worker: _Worker | None = None

    def __enter__(self) -> Self:
        self._worker = _Worker(self._task)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._worker is not None, "entered before"
        self._worker.close()

    def run(self, numbers: Sequence[int]) -> Digests:
        """Do pieces."""
        waiting = list(reversed(numbers))
        running: dict[Future[str], int] = {}
        with self._pool() as pool:
            try:
                while waiting or running:
                    while waiting and len(running) <= self._count:  # one more than threads, so that none waits
                        number = waiting.pop()
                        running[pool.submit(self._work, number)] = number
                    for future in wait_for_futures(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    @contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        """Start the threads, and bound MLX's own buffers while they run."""
        former = mx.set_cache_limit(_CACHE_BYTES)
        device = mx.default_device()
        try:
            with ThreadPoolExecutor(self._count, initializer=self._start_lane, initargs=(device,)) as pool:
                yield pool
        finally:
            mx.set_cache_limit(former)

    def _start_lane(self, device: mx.Device) -> None:
        self._lane.stream = mx.new_stream(device)

    def _work(self, number: int) -> str:
        assert self._worker is not None, "entered before"
        with mx.stream(self._lane.stream):
            return self._worker.run(number)


class Processes:
    """Worker processes that get numbers and give hashes; they end at once with the block, or with this process."""

    def __init__(self, task: Task, *, count: int) -> None:
        self._task, self._count = task, count
        self._workers: dict[Connection[Any, Any], SpawnProcess] = {}  # Any: what is sent either way

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A piece counts only once it is recorded, so workers may be stopped in the middle of one.
        for process in self._workers.values():
            process.kill()
        while self._workers:
            pipe, process = self._workers.popitem()
            process.join()
            process.close()
            pipe.close()

    def run(self, numbers: Sequence[int]) -> Digests:
        """Do pieces."""
        waiting = list(reversed(numbers))
        busy: dict[Connection[Any, Any], int] = {}
        self._start(min(self._count, len(numbers)))
        for pipe in self._workers:
            if waiting:
                self._send(pipe, busy, waiting.pop())
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                number = busy.pop(ready)
                digest = _receive(ready)
                if waiting:
                    self._send(ready, busy, waiting.pop())
                yield number, digest

    def _start(self, count: int) -> None:
        context = get_context("spawn")
        resource_tracker.ensure_running()  # starting it later would lift the mask below
        with hold_interrupts():  # a Ctrl-C is for this process, which ends them
            while len(self._workers) < count:
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, self._task), daemon=True)
                process.start()
                theirs.close()
                self._workers[ours] = process

    def _send(self, pipe: Connection[Any, Any], busy: dict[Connection[Any, Any], int], number: int) -> None:
        with suppress(BrokenPipeError):  # then receiving tells that the worker has ended
            pipe.send(number)
        busy[pipe] = number


def _receive(pipe: Connection[Any, Any]) -> str:
    try:
        outcome = pipe.recv()
    except (EOFError, ConnectionError):
        raise OutputError(
            "A worker process ended (killed, or out of memory). Run the same command again, it goes on; "
            "--processes 1 needs the least memory."
        ) from None
    if isinstance(outcome, Exception):
        raise outcome
    return str(outcome)


def _serve(pipe: Connection[Any, Any], task: Task) -> None:
    """Work in a process of its own until the pipe is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    mx.set_cache_limit(_CACHE_BYTES)
    worker = _Worker(task)
    with suppress(EOFError, ConnectionError):
        while True:
            number = pipe.recv()
            try:
                pipe.send(worker.run(number))
            except (EOFError, ConnectionError):
                raise
            except Exception as error:  # the outermost line of this process: the other side raises it
                pipe.send(error)


def _end_with_parent() -> None:
    """A worker whose parent was killed would finish its piece, perhaps beside the next conversion."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
