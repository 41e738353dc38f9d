"""The one thread that owns a model and everything of MLX, reading the weights included.

MLX's state is not made for several threads, so all others only send: jobs, and functions to be called between two
turns. The thread sleeps while there is nothing to do.

A thread that has used MLX must not end: MLX takes Python's lock when such a thread ends, and aborts the program if
Python is shutting down by then (0.32.4). So the thread of a closed engine is parked, and the next engine takes it up.

A process made by fork has none of these threads, nor those of MLX: what would wait for them is refused there.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import ClassVar, TypeVar

import mlx.core as mx

from edge.errors import EdgeError
from edge.run.job import Job
from edge.run.loop import Loop

R = TypeVar("R")
_LOG = logging.getLogger(__name__)
_Order = Callable[[Loop], None]
CLOSE_S = 30.0
"""A slice of work ends long before this; nobody waits longer for one that does not."""
SETTLE_S = 0.01


class _Worker:
    """A thread that never ends: it does one thing after the other, and is free in between."""

    _all: ClassVar[list[_Worker]] = []
    _free: ClassVar[list[_Worker]] = []
    _lock: ClassVar[threading.Lock] = threading.Lock()
    _are_lost: ClassVar[bool] = False

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_parked = False
        self._all.append(self)
        self.thread = threading.Thread(target=self._run, name="edge-model", daemon=True)
        self.thread.start()

    @classmethod
    def start(cls, task: Callable[[], None]) -> threading.Thread:
        """Do something on a thread, and return the thread."""
        if cls._are_lost:
            raise EdgeError(
                "A process made by fork from one that had loaded a model cannot load one. Start it by spawn: "
                'multiprocessing.get_context("spawn").'
            )
        with cls._lock:
            worker = cls._free.pop() if cls._free else cls()
        worker._is_parked = False
        worker._tasks.put(task)
        return worker.thread

    @classmethod
    def settle(cls, most_s: float) -> None:
        """Wait until all threads are parked, and a moment longer, in which each goes to sleep without Python's lock."""
        ends_at = time.monotonic() + most_s
        while not all(worker._is_parked for worker in cls._all) and time.monotonic() < ends_at:
            time.sleep(0.002)
        if cls._all:
            time.sleep(SETTLE_S)

    @classmethod
    def lose(cls) -> None:
        """In a process made by fork: no thread came along, and a lock may have been held by one that did not."""
        cls._are_lost = cls._are_lost or bool(cls._all)
        cls._all, cls._free, cls._lock = [], [], threading.Lock()

    def _run(self) -> None:
        while True:
            self._tasks.get()()
            with self._lock:
                self._free.append(self)
                self._is_parked = True


class ModelThread:
    """A running loop; every method may be called from any thread."""

    def __init__(self, make: Callable[[], Loop]) -> None:
        """Start the thread, which makes the loop; `wait_until_ready` tells when it has."""
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._ready: Future[None] = Future()
        self._has_ended = threading.Event()
        self._is_closed = False
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._thread = _Worker.start(partial(_work, make, self._orders, self._ready, self._has_ended))
        _LIVE.add(self)

    def wait_until_ready(self) -> None:
        """Wait for the loop; raises what making it raised."""
        self._ready.result()

    def submit(self, job: Job) -> None:
        """Send a job.

        Raises:
            EdgeError: The thread was closed.
        """
        self._send(lambda loop: loop.add(job))

    def call(self, function: Callable[[Loop], R]) -> R:
        """Call a function on the model thread, between two turns, and return its result.

        Raises:
            EdgeError: The thread was closed.
        """
        result: Future[R] = Future()

        def order(loop: Loop) -> None:
            try:
                result.set_result(function(loop))
            except BaseException as error:  # goes to the caller
                result.set_exception(error)

        self._send(order)
        return result.result()

    def close(self) -> None:
        """End all jobs as cancelled and let the model go; more calls do nothing, nor does one in a forked process."""
        if self._process != os.getpid():
            return
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._orders.put(None)
        if threading.current_thread() is not self._thread:
            self._has_ended.wait(CLOSE_S)

    def _send(self, order: _Order) -> None:
        if self._process != os.getpid():
            raise EdgeError(
                "The engine was loaded by another process, and its threads did not come along with the fork. "
                "Load the model in the process that asks, started by spawn."
            )
        with self._lock:  # nothing may come after the order to stop: it would wait for ever
            if self._is_closed:
                raise EdgeError("The engine is closed. Load the model again.")
            self._orders.put(order)


def _end_all() -> None:
    """Close all models before Python shuts down: a thread that ran on would be ended, which MLX does not survive."""
    for thread in list(_LIVE):
        thread.close()
    _Worker.settle(CLOSE_S)


_LIVE: weakref.WeakSet[ModelThread] = weakref.WeakSet()
atexit.register(_end_all)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_Worker.lose)


def _work(
    make: Callable[[], Loop],
    orders: queue.SimpleQueue[_Order | None],
    ready: Future[None],
    has_ended: threading.Event,
) -> None:
    try:
        loop = make()
    except BaseException as error:  # goes to whoever waits
        ready.set_exception(error)
        has_ended.set()
        return
    ready.set_result(None)
    try:
        _serve(loop, orders)
    finally:
        del loop
        mx.clear_cache()
        has_ended.set()


def _serve(loop: Loop, orders: queue.SimpleQueue[_Order | None]) -> None:
    while True:
        for order in _take(orders, waits=not loop.has_work):
            if order is None:
                loop.close()
                return
            order(loop)
        try:
            loop.turn()
        except Exception as error:  # the loop ends rows by itself; this is a fault in the loop
            _LOG.exception("the loop failed")
            loop.fail_all(error)


def _take(orders: queue.SimpleQueue[_Order | None], *, waits: bool) -> list[_Order | None]:
    """Return all orders there are; wait for the first if there is nothing else to do."""
    taken = [orders.get()] if waits else []
    while True:
        try:
            taken.append(orders.get_nowait())
        except queue.Empty:
            return taken
