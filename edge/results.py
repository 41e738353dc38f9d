"""What a request gives back: events one by one, or the result of one of many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Self

from edge.answer import Answer, AnswerParts
from edge.errors import EdgeError
from edge.events import Event, FinishEvent
from edge.records import dataclass
from edge.request import Request
from edge.run.job import Job


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request of `Engine.map`.

    Attributes:
        index: Its place among the requests, from 0.
        request: The request.
        answer: Its answer; None if it failed.
        error: Why it failed; None if it did not.
    """

    index: int
    request: Request
    answer: Answer | None
    error: EdgeError | None


class EventStream(Iterator[Event]):
    """The events of one request, as they come; leaving it early (`close`, or the end of a `with`) cancels the request.

    The model runs on whether or not events are taken. One thread at a time may take events; `cancel` and `close` may
    be called from any, also while another waits for an event.
    """

    def __init__(
        self,
        job: Job,
        inbox: SimpleQueue[Event | BaseException],
        *,
        owner: object,
        taken: Callable[[Event], None] | None = None,
    ) -> None:
        """Make a stream; it keeps its engine, which would close when nobody else holds it.

        Args:
            job: What runs.
            inbox: Where its events come.
            owner: The engine.
            taken: Told of each event right before the taker gets it, until the stream is closed.
        """
        self._owner = owner
        self._taken = taken
        self._job = job
        self._inbox = inbox
        self._process = os.getpid()
        self._turn = Lock()  # one taker at a time, or two would wait for the one last event
        self._last: Event | BaseException | None = None  # came, and was not given yet
        self._has_ended = False
        self._parts = AnswerParts()
        self._error: BaseException | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        """Wait for the next event.

        Raises:
            EdgeError: What ended the request, if that was an error.
            StopIteration: The last event was taken.
        """
        with self._turn:
            if self._last is not None:
                item, self._last = self._last, None
            elif self._has_ended:
                raise StopIteration
            else:
                item = self._take()
        if isinstance(item, BaseException):
            self._error = item
            raise item
        self._parts.add(item)
        if (taken := self._taken) is not None:
            taken(item)
        return item

    def answer(self) -> Answer:
        """Wait for the end and return the whole answer, whether or not its events were taken before.

        After `close` it is what had been taken, ended as cancelled.

        Raises:
            EdgeError: What ended the request, if that was an error.
        """
        for _ in self:
            pass
        if self._error is not None:
            raise self._error
        return self._parts.answer()

    def cancel(self) -> None:
        """Cancel the request and return at once; who takes the events gets the finish event soon."""
        self._job.cancel.set()

    def close(self) -> None:
        """Cancel the request and wait until it has ended, which takes at most one slice of work.

        Events that were not taken are dropped, but for the last: the finish event, or the error.
        """
        self._taken = None
        self.cancel()
        while not self._has_ended:
            with self._turn:
                if not self._has_ended:
                    item = self._take()
                    self._last = item if self._has_ended else None

    def _take(self) -> Event | BaseException:
        if self._process != os.getpid():
            self._has_ended = True
            return EdgeError("The request runs in another process, from which this one was forked. Ask it there.")
        item = self._inbox.get()
        self._has_ended = isinstance(item, BaseException | FinishEvent)
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """Nobody can take the rest: the row is free for others."""
        self._job.cancel.set()
