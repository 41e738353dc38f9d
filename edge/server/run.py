"""One answer on its way: taken from the engine as it comes, held for a reader that may be slow, within a bound.

In: an engine and a request. Out: its events, for one reader. The engine never waits: what the reader has not taken is
kept here, pieces of text joined, and a reader that lags too far loses its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from edge.engine import Engine
from edge.events import Event, FinishEvent, ProgressEvent, PromptEvent, ReasoningEvent, TextEvent
from edge.request import Request
from edge.server.errors import ApiError, to_api_error
from edge.server.log import log_fault


class Run:
    """One request in the engine.

    Attributes:
        prompt: The prompt event, once the request was admitted.
        finish: The finish event, once it came.
        text: The answer's text so far, if the server's log is to have it.
    """

    def __init__(self, engine: Engine, request: Request, *, max_unread: int, keeps_text: bool = False) -> None:
        """Get ready.

        Args:
            engine: Answers.
            request: What is asked.
            max_unread: Events that may wait for the reader.
            keeps_text: Whether `text` is kept.
        """
        self.request = request
        self.prompt: PromptEvent | None = None
        self.finish: FinishEvent | None = None
        self.text = ""
        self._keeps_text = keeps_text
        self._engine = engine
        self._max_unread = max_unread
        self._unread: deque[Event] = deque()
        self._error: ApiError | None = None
        self._has_news = asyncio.Event()
        self._is_admitted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send the request."""
        self._task = asyncio.get_running_loop().create_task(self._pump())

    async def wait_until_admitted(self, timeout_s: float) -> None:
        """Wait until the prompt was accepted, or for some seconds if it has to queue.

        Raises:
            ApiError: The request was refused.
        """
        try:
            await asyncio.wait_for(self._is_admitted.wait(), timeout_s)
        except TimeoutError:
            return
        if self._error is not None and not self._unread:
            raise self._error

    async def events(self) -> AsyncIterator[Event]:
        """Give the events from the first on; for one reader.

        Raises:
            ApiError: The run failed.
        """
        while True:
            while self._unread:
                event = self._unread.popleft()
                yield event
                if isinstance(event, FinishEvent):
                    return
            if self._error is not None:
                raise self._error
            self._has_news.clear()
            await self._has_news.wait()

    async def close(self) -> None:
        """End it; its row is freed after the current slice of work."""
        self.request.cancel.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _pump(self) -> None:
        try:
            async for event in self._engine.astream(self.request):
                self._keep(event)
        except Exception as error:  # the border of one request
            self._error = to_api_error(error)
            if self._error.kind == "internal":
                log_fault(error)
        finally:
            if self._error is None and self.finish is None:
                self._error = ApiError("overloaded", "The answer was cancelled.", code="cancelled")
            self._is_admitted.set()
            self._has_news.set()

    def _keep(self, event: Event) -> None:
        if isinstance(event, PromptEvent):
            self.prompt = event
            self._is_admitted.set()
        elif isinstance(event, FinishEvent):
            self.finish = event
        elif isinstance(event, TextEvent) and self._keeps_text:
            self.text += event.text
        last = self._unread[-1] if self._unread else None
        if isinstance(event, ProgressEvent) and isinstance(last, ProgressEvent):
            self._unread[-1] = event
        elif isinstance(event, TextEvent) and isinstance(last, TextEvent):
            self._unread[-1] = TextEvent(last.text + event.text)
        elif isinstance(event, ReasoningEvent) and isinstance(last, ReasoningEvent):
            self._unread[-1] = ReasoningEvent(last.text + event.text)
        else:
            self._unread.append(event)
        if len(self._unread) > self._max_unread:
            raise ApiError("timeout", f"{len(self._unread)} events were not read. Read faster.", code="slow_reader")
        self._has_news.set()
