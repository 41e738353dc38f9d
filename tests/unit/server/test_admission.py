from __future__ import annotations

import asyncio

import pytest

from edge.server.admission import Admission
from edge.server.errors import ApiError


async def hold(admission: Admission, client: str, order: list[str], go: asyncio.Event) -> None:
    async with admission.seat(client):
        order.append(client)
        await go.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_clients_that_wait_take_turns() -> None:
    async def run() -> list[str]:
        admission = Admission(seats=1, waiting=10, per_client=10)
        order: list[str] = []
        go = asyncio.Event()
        tasks = []
        for client in ("first", "many", "many", "many", "few"):
            tasks.append(asyncio.create_task(hold(admission, client, order, go)))
            await settle()
        assert (admission.num_working, admission.num_waiting) == (1, 4)
        go.set()
        await asyncio.gather(*tasks)
        assert (admission.num_working, admission.num_waiting) == (0, 0)
        return order

    assert asyncio.run(run()) == ["first", "many", "few", "many", "many"]


def test_more_than_may_wait_are_refused() -> None:
    async def run() -> None:
        admission = Admission(seats=1, waiting=1, per_client=10)
        go = asyncio.Event()
        tasks = [asyncio.create_task(hold(admission, "a", [], go)) for _ in range(2)]
        await settle()
        with pytest.raises(ApiError, match="waiting") as refused:
            await hold(admission, "b", [], go)
        assert (refused.value.status, refused.value.headers["retry-after"]) == (503, "2")
        go.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_one_client_may_not_have_more_than_its_share() -> None:
    async def run() -> None:
        admission = Admission(seats=5, waiting=5, per_client=1)
        go = asyncio.Event()
        task = asyncio.create_task(hold(admission, "a", [], go))
        await settle()
        with pytest.raises(ApiError) as refused:
            await hold(admission, "a", [], go)
        assert refused.value.status == 429
        go.set()
        await hold(admission, "b", [], go)
        await task
        await hold(admission, "a", [], go)

    asyncio.run(run())


@pytest.mark.parametrize("is_just_seated", [False, True])
def test_a_client_that_leaves_while_it_waits_takes_no_seat_with_it(is_just_seated: bool) -> None:
    async def run() -> None:
        admission = Admission(seats=1, waiting=5, per_client=5)
        go = asyncio.Event()
        first = asyncio.create_task(hold(admission, "a", [], go))
        leaver = asyncio.create_task(hold(admission, "b", [], go))
        await settle()
        if is_just_seated:
            go.set()
            await first  # the seat was passed on to the leaver, who has not woken up yet
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        go.set()
        await first
        await asyncio.wait_for(hold(admission, "c", [], go), 1)
        assert (admission.num_working, admission.num_waiting) == (0, 0)

    asyncio.run(run())
