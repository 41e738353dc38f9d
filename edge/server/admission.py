"""Decide who works and who waits: seats for as many requests as run well at a time, given out fairly.

In: clients (by key or address). Out: seats. Clients that wait take turns, whatever number of requests each has sent,
so nobody waits behind all of another's. More than may wait are refused at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge.server.errors import ApiError


class Admission:
    """The seats of one server; used on its asyncio loop only."""

    def __init__(self, *, seats: int, waiting: int, per_client: int) -> None:
        """Make seats.

        Args:
            seats: Requests that work at a time.
            waiting: Requests that may wait.
            per_client: Requests of one client, working and waiting.
        """
        self._free = seats
        self._max_waiting = waiting
        self._per_client = per_client
        self._held: Counter[str] = Counter()
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self.num_working = 0

    @property
    def num_waiting(self) -> int:
        """Requests that wait."""
        return sum(len(queue) for queue in self._queues.values())

    @asynccontextmanager
    async def seat(self, client: str) -> AsyncIterator[None]:
        """Wait for a seat, and hold it.

        Raises:
            ApiError: The client has too many requests, or too many wait.
        """
        if self._held[client] >= self._per_client:
            raise ApiError(
                "rate_limit",
                f"This client has {self._held[client]} requests under way, at most {self._per_client} are taken. "
                "Wait for one to end.",
                code="too_many_requests",
                retry_s=1,
            )
        self._held[client] += 1
        try:
            await self._sit(client)
            self.num_working += 1
            try:
                yield
            finally:
                self.num_working -= 1
                self._pass_on()
        finally:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]

    async def _sit(self, client: str) -> None:
        if self._free and not self._queues:
            self._free -= 1
            return
        if self.num_waiting >= self._max_waiting:
            raise ApiError(
                "overloaded",
                f"{self.num_waiting} requests are waiting, no more are taken. Try again in a moment.",
                code="queue_full",
                retry_s=2,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was given the seat in the moment it left
            else:
                self._forget(client, turn)
            raise

    def _pass_on(self) -> None:
        """Give a seat that came free to the client whose turn it is."""
        for client in list(self._queues):
            queue = self._queues.pop(client)
            turn = queue.popleft()
            if queue:
                self._queues[client] = queue  # to the end of the row of clients
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _forget(self, client: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(client)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[client]
