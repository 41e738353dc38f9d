"""Run many requests on one engine, several at a time: results as they finish, an error beside its request."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import field
from queue import SimpleQueue

from edge.answer import AnswerParts
from edge.errors import EdgeError
from edge.events import Event, FinishEvent
from edge.records import dataclass
from edge.request import Request
from edge.results import Result
from edge.run.job import Emit, Job


@dataclass(slots=True)
class _Running:
    request: Request
    job: Job
    parts: AnswerParts = field(default_factory=AnswerParts)


def run_many(
    requests: Iterable[Request],
    *,
    make_job: Callable[[Request, Emit], Job],
    submit: Callable[[Job], None],
    at_once: int,
) -> Generator[Result, None, None]:
    """Answer requests, `at_once` of them at a time, in the order in which they finish.

    Args:
        requests: Taken one by one as room comes free.
        make_job: Builds a prompt; its errors become results.
        submit: Sends a job to the model thread.
        at_once: Most requests under way.
    """
    inbox: SimpleQueue[tuple[int, Event | BaseException]] = SimpleQueue()
    source = enumerate(requests)
    running: dict[int, _Running] = {}
    is_drained = False
    try:
        while running or not is_drained:
            if not is_drained and len(running) < at_once:
                found = next(source, None)
                if found is None:
                    is_drained = True
                    continue
                failed = _start(*found, inbox, running, make_job, submit)
                if failed is not None:
                    yield failed
                continue
            index, item = inbox.get()
            if (result := _take(index, item, running)) is not None:
                yield result
    finally:
        for one in running.values():
            one.job.cancel.set()


def _start(
    index: int,
    request: Request,
    inbox: SimpleQueue[tuple[int, Event | BaseException]],
    running: dict[int, _Running],
    make_job: Callable[[Request, Emit], Job],
    submit: Callable[[Job], None],
) -> Result | None:
    """Send one request; its result if it failed already."""
    try:
        job = make_job(request, lambda item: inbox.put((index, item)))
        running[index] = _Running(request, job)
        submit(job)
    except EdgeError as error:
        running.pop(index, None)
        return Result(index, request, None, error)
    return None


def _take(index: int, item: Event | BaseException, running: dict[int, _Running]) -> Result | None:
    """Add an event to its request; the result if that was the last."""
    one = running[index]
    if isinstance(item, BaseException):
        del running[index]
        if not isinstance(item, EdgeError):
            item = EdgeError(f"internal error, please report: {type(item).__name__}: {item}")
        return Result(index, one.request, None, item)
    one.parts.add(item)
    if not isinstance(item, FinishEvent):
        return None
    del running[index]
    return Result(index, one.request, one.parts.answer(), None)
