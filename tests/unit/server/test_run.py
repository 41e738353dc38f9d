from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge.errors import MemoryPlanError
from edge.events import Event, FinishEvent, ProgressEvent, PromptEvent, ReasoningEvent, TextEvent, TokenEvent, Usage
from edge.request import Request
from edge.server.errors import ApiError
from edge.server.run import Run

USAGE = Usage(1, 0, 1, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
PROMPT, FINISH = PromptEvent(1, 0, (), ()), FinishEvent("stop", None, USAGE)


class Fake:
    """An engine that tells given events."""

    def __init__(self, *events: Event | Exception) -> None:
        self.events = events

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event
            await asyncio.sleep(0)
        if not self.events or not isinstance(self.events[-1], FinishEvent):
            await asyncio.sleep(60)


def run_of(*events: Event | Exception, max_unread: int = 100) -> Run:
    engine: Any = Fake(*events)
    run = Run(engine, Request(messages=()), max_unread=max_unread)
    run.start()
    return run


async def taken(run: Run) -> list[Event]:
    return [event async for event in run.events()]


def test_a_late_reader_gets_pieces_joined_and_nothing_lost() -> None:
    async def act() -> list[Event]:
        texts = (TextEvent("a"), TextEvent("b"), ReasoningEvent("c"), ReasoningEvent("d"), TokenEvent(1, False))
        waits = (ProgressEvent("queued", 0, 2), ProgressEvent("queued", 0, 1))
        run = run_of(*waits, PROMPT, *texts, TextEvent("e"), FINISH)
        await run.wait_until_admitted(5)
        await asyncio.sleep(0.05)
        return await taken(run)

    expected = [ProgressEvent("queued", 0, 1), PROMPT, TextEvent("ab"), ReasoningEvent("cd"), TokenEvent(1, False)]
    assert asyncio.run(act()) == [*expected, TextEvent("e"), FINISH]


def test_a_refusal_comes_before_anything_is_read() -> None:
    async def act() -> None:
        run = run_of(MemoryPlanError("too large"))
        with pytest.raises(ApiError, match="too large"):
            await run.wait_until_admitted(5)
        await run.close()

    asyncio.run(act())


def test_a_failure_on_the_way_comes_after_what_was_told() -> None:
    async def act() -> None:
        run = run_of(PROMPT, TextEvent("a"), ValueError("inside"))
        await run.wait_until_admitted(5)
        events = run.events()
        assert [await anext(events), await anext(events)] == [PROMPT, TextEvent("a")]
        with pytest.raises(ApiError, match="Internal error") as failed:
            await anext(events)
        assert "inside" not in str(failed.value)

    asyncio.run(act())


def test_a_reader_that_lags_too_far_loses_its_answer() -> None:
    async def act() -> None:
        run = run_of(PROMPT, *(TokenEvent(i, False) for i in range(50)), FINISH, max_unread=10)
        await asyncio.sleep(0.1)
        with pytest.raises(ApiError, match="Read faster"):
            await taken(run)

    asyncio.run(act())


def test_a_queue_is_waited_for_only_so_long() -> None:
    async def act() -> None:
        run = run_of(ProgressEvent("queued", 0, 1))
        await run.wait_until_admitted(0.05)
        assert run.prompt is None
        await run.close()
        assert run.request.cancel.is_set()

    asyncio.run(act())
