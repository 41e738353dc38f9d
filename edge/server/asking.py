"""Carry a request through: a seat, a model, one run for each answer, and everything given back at the end.

In: what a client asks, as `edge.Request`s. Out: events or whole answers. An endpoint does

    asking = await begin(http, body.get("model"), make)        # errors here have their HTTP status
    return ServerSentEvents(write(asking), asking=asking)      # a stream: the response closes the asking
    ... or ...
    async with asking:
        all_events = await asking.all_events()                 # whole answers; ClientGone when nobody waits

where `make(engine)` builds the requests on a worker thread. Whatever happens to the client, its rows are freed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

from starlette.requests import Request as HttpRequest

from edge.engine import Engine
from edge.errors import EdgeError
from edge.events import Event, FinishEvent
from edge.request import Request
from edge.server.errors import ClientGone, to_api_error
from edge.server.models import Resident
from edge.server.places import NO_NAMES, in_places
from edge.server.run import Run
from edge.server.serving import record_of, serving_of

T = TypeVar("T")
Make = Callable[[Engine], Sequence[Request]]
START_WAIT_S = 15.0
"""A stream begins after this long at the latest; until then errors get a status of their own."""


class Asking:
    """A request that was let in."""

    def __init__(self, http: HttpRequest) -> None:
        self.http = http
        self.runs: list[Run] = []
        self.model: Resident
        self._record = record_of(http)
        self._held = AsyncExitStack()

    @property
    def engine(self) -> Engine:
        """The model's engine."""
        return self.model.engine

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        """Give the events of all runs as they come, each with its run's place.

        Raises:
            ApiError: A run failed.
        """
        if len(self.runs) == 1:
            async for event in self.runs[0].events():
                yield 0, event
            return
        async for item in _merged(self.runs):
            yield item

    async def all_events(self) -> list[list[Event]]:
        """Wait for all events of all runs.

        Raises:
            ApiError: A run failed.
            ClientGone: The client closed its connection.
        """

        async def gather() -> list[list[Event]]:  # a task, unlike a bare gather, tells nobody that it was cancelled
            return await asyncio.gather(*(_all_of(run) for run in self.runs))

        return await until_gone(self.http, gather())

    async def open(self, name: str | None, make: Make, *, keep_alive_s: float | None = None) -> None:
        """Get everything that is needed; `begin` calls it."""
        requests = await self.prepare(name, make, keep_alive_s=keep_alive_s)
        options = serving_of(self.http).options
        self.runs = [
            Run(self.engine, one, max_unread=options.limits.unread_events, keeps_text=options.logs_content)
            for one in requests
        ]
        for run in self.runs:
            run.start()
        await asyncio.gather(*(run.wait_until_admitted(START_WAIT_S) for run in self.runs))

    async def prepare(self, name: str | None, make: Make, *, keep_alive_s: float | None = None) -> Sequence[Request]:
        """Get a seat and the model, and build the requests."""
        serving = serving_of(self.http)
        entry = serving.models.find(name)  # wrong names wait for nothing
        self._record["model"] = entry.name
        await self._held.enter_async_context(serving.admission.seat(client_of(self.http)))
        self.model = await self._held.enter_async_context(serving.models.lease(name, keep_alive_s=keep_alive_s))
        return await asyncio.get_running_loop().run_in_executor(serving.workers, make, self.engine)

    async def close(self) -> None:
        """Free rows, model and seat; further calls do nothing."""
        for run in self.runs:
            await run.close()
        if self.runs:
            self._note_usage()
        await self._held.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    def _note_usage(self) -> None:
        if serving_of(self.http).options.logs_content:
            self._record["answers"] = [run.text for run in self.runs]
        ends = [run.finish for run in self.runs if run.finish is not None]
        if ends:
            self._record.update(
                prompt_tokens=ends[0].usage.prompt_tokens,
                cached_tokens=ends[0].usage.cached_tokens,
                completion_tokens=sum(end.usage.completion_tokens for end in ends),
                reasoning_tokens=sum(end.usage.reasoning_tokens for end in ends),
                first_token_s=round(ends[0].usage.first_token_s, 4),
                finish=ends[0].reason,
            )
        else:
            self._record.setdefault("finish", "cancelled")


async def begin(
    http: HttpRequest,
    name: str | None,
    make: Make,
    *,
    keep_alive_s: float | None = None,
    places: Sequence[str] = (),
    names: Mapping[str, str] = NO_NAMES,
    opened: Mapping[str, str] = NO_NAMES,
) -> Asking:
    """Let a request in and start its runs; returns when their prompts are accepted, or after a while.

    Args:
        http: The HTTP request, its body read.
        name: The model, as the client wrote it.
        make: Builds the requests, one for each answer; called on a worker thread.
        keep_alive_s: How long the model stays in memory afterwards; None leaves that as it is.
        places: Where the messages stand in what the client sent, for errors.
        names: Fields of the engine's request that have another name there.
        opened: Where the parts stood that moved when `make` opened media; filled by then.

    Raises:
        EdgeError: The request is refused.
        ClientGone: The client closed its connection meanwhile.
    """
    asking = Asking(http)
    try:
        await until_gone(http, asking.open(name, make, keep_alive_s=keep_alive_s))
    except BaseException as error:
        await asking.close()
        if isinstance(error, EdgeError) and (told := to_api_error(error)).kind != "internal":
            raise in_places(told, places, names, opened=opened) from None
        raise
    return asking


async def count_tokens(
    http: HttpRequest,
    name: str | None,
    make: Make,
    *,
    places: Sequence[str] = (),
    names: Mapping[str, str] = NO_NAMES,
    opened: Mapping[str, str] = NO_NAMES,
) -> int:
    """Count the tokens of a request's prompt, those of pictures included, without running it; as `begin`."""
    async with Asking(http) as asking:

        async def count() -> int:
            requests = await asking.prepare(name, make)
            return await asyncio.to_thread(asking.engine.count_tokens, requests[0])

        try:
            return await until_gone(http, count())
        except EdgeError as error:
            raise in_places(to_api_error(error), places, names, opened=opened) from None


async def until_gone(http: HttpRequest, work: Awaitable[T]) -> T:
    """Do something as long as the client is there.

    Raises:
        ClientGone: The client closed its connection; the work was cancelled.
    """
    task: asyncio.Future[T] = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_wait_until_gone(http))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.wait((task, gone))


def client_of(http: HttpRequest) -> str:
    """Name the client for limits: its key if it sent one, else its address."""
    return str(http.scope.get("edge.client") or (http.client.host if http.client else "?"))


async def _wait_until_gone(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


async def _all_of(run: Run) -> list[Event]:
    return [event async for event in run.events()]


async def _merged(runs: Sequence[Run]) -> AsyncIterator[tuple[int, Event]]:
    """Give the events of several runs as they come."""
    iterators = [run.events() for run in runs]
    tasks: dict[asyncio.Task[Event], int] = {_next(one): place for place, one in enumerate(iterators)}
    try:
        while tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda one: tasks[one]):
                place = tasks.pop(task)
                event = task.result()
                yield place, event
                if not isinstance(event, FinishEvent):
                    tasks[_next(iterators[place])] = place
    finally:
        for task in tasks:
            task.cancel()


def _next(events: AsyncIterator[Event]) -> asyncio.Task[Event]:
    async def take() -> Event:
        return await anext(events)

    return asyncio.get_running_loop().create_task(take())
