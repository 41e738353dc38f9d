"""The models of a server: which there are, which are in memory, and who uses them.

In: names as clients write them. Out: leases on engines. Loading and closing happen on a worker thread, one at a time.
At most `resident` models are in memory: another one is loaded when one that nobody uses can make room.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import field

from edge.engine import Engine
from edge.errors import ConfigError, EdgeError, MemoryPlanError, WeightError
from edge.records import dataclass
from edge.server.catalogue import ModelEntry
from edge.server.errors import ApiError

Load = Callable[[ModelEntry], Engine]
LOAD_WAIT_S = 300.0
"""Longest wait for a model that others use to make room."""


@dataclass(slots=True, eq=False)
class Resident:
    """A model in memory.

    Attributes:
        entry: Which.
        engine: It.
        keep_alive_s: Seconds it stays when nobody uses it; None keeps it until the room is needed.
        users: Requests that use it.
        used_at: When one last began or ended, on `time.monotonic`'s clock.
        loaded_s: Seconds that loading took.
    """

    entry: ModelEntry
    engine: Engine
    keep_alive_s: float | None
    users: int = 0
    used_at: float = field(default_factory=time.monotonic)
    loaded_s: float = 0.0

    @property
    def expires_at(self) -> float | None:
        """When it will be unloaded if nobody asks, on `time.monotonic`'s clock; None for never."""
        return None if self.keep_alive_s is None else self.used_at + self.keep_alive_s


class ModelShelf:
    """All models of one server; used on its asyncio loop only."""

    def __init__(
        self,
        entries: Sequence[ModelEntry],
        load: Load,
        *,
        default: str,
        resident: int = 1,
        keep_alive_s: float | None = None,
        aliases: dict[str, str] | None = None,
    ) -> None:
        """Set the shelf up; nothing is loaded yet.

        Args:
            entries: The models there are.
            load: Loads one; called on a worker thread.
            default: Name of the model that requests without one get.
            resident: Most models in memory.
            keep_alive_s: Seconds an unused one stays; None keeps it until the room is needed.
            aliases: Other names; "*" takes every unknown one.

        Raises:
            ConfigError: An alias names no model.
        """
        self.entries = {entry.name: entry for entry in entries}
        self.default = default
        self.keep_alive_s = keep_alive_s
        self.aliases = dict(aliases or {})
        for alias, name in self.aliases.items():
            if name not in self.entries:
                raise ConfigError(f"--alias {alias}={name}: no such model. Known: {', '.join(self.entries)}.")
        self._load = load
        self._max_resident = resident
        self._residents: dict[str, Resident] = {}
        self._lock = asyncio.Lock()
        self._room = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def residents(self) -> list[Resident]:
        """The models in memory."""
        return list(self._residents.values())

    def find(self, name: str | None) -> ModelEntry:
        """Return the model that a client means.

        Args:
            name: As the client wrote it; `:latest` at its end means nothing. None or "" takes the default.

        Raises:
            ApiError: There is none of this name.
        """
        if not name:
            return self.entries[self.default]
        for known in (name, name.removesuffix(":latest")):
            known = self.aliases.get(known, known)
            if known in self.entries:
                return self.entries[known]
        if "*" in self.aliases:
            return self.entries[self.aliases["*"]]
        raise ApiError(
            "not_found",
            f"model {name!r} not found. Known here: {', '.join(self.entries)}.",
            param="model",
            code="model_not_found",
        )

    @asynccontextmanager
    async def lease(self, name: str | None, *, keep_alive_s: float | None = None) -> AsyncIterator[Resident]:
        """Use a model; it is loaded if need be, and stays in memory at least as long as it is used.

        Args:
            name: As for `find`.
            keep_alive_s: How long it stays afterwards, from now on; None leaves that as it is.

        Raises:
            ApiError: No such model, or it cannot be loaded now.
        """
        entry = self.find(name)
        resident = await self._acquire(entry)
        if keep_alive_s is not None:
            resident.keep_alive_s = keep_alive_s
        try:
            yield resident
        finally:
            resident.users -= 1
            resident.used_at = time.monotonic()
            self._room.set()
            if resident.keep_alive_s == 0 and not resident.users:
                self._start_closing(resident)

    async def unload(self, name: str | None) -> bool:
        """Let a model go now if nobody uses it; False when somebody does or it is not in memory."""
        resident = self._residents.get(self.find(name).name)
        if resident is None or resident.users:
            return False
        await self._close(resident)
        return True

    async def unload_expired(self) -> None:
        """Let models go that nobody has used for as long as they were to be kept."""
        now = time.monotonic()
        for resident in self.residents:
            if not resident.users and resident.expires_at is not None and resident.expires_at <= now:
                await self._close(resident)

    async def close(self) -> None:
        """Let all models go, ending what runs."""
        for resident in self.residents:
            await self._close(resident)

    async def _acquire(self, entry: ModelEntry) -> Resident:
        deadline = time.monotonic() + LOAD_WAIT_S
        while True:
            async with self._lock:  # one loads at a time; the others find what it loaded
                resident = self._residents.get(entry.name)
                if resident is None and await self._make_room():
                    resident = await self._load_now(entry)
                if resident is not None:
                    resident.users += 1
                    resident.used_at = time.monotonic()
                    return resident
                self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), deadline - time.monotonic())
            except TimeoutError:
                busy = ", ".join(self._residents)
                raise ApiError(
                    "overloaded", f"No room for {entry.name} while {busy} works. Try again later.", retry_s=10
                ) from None

    async def _make_room(self) -> bool:
        while len(self._residents) >= self._max_resident:
            idle = sorted((one for one in self.residents if not one.users), key=lambda one: one.used_at)
            if not idle:
                return False
            await self._close(idle[0])
        return True

    async def _load_now(self, entry: ModelEntry) -> Resident:
        started = time.monotonic()
        try:
            engine = await asyncio.to_thread(self._load, entry)
        except MemoryPlanError as error:
            raise ApiError("overloaded", str(error), param="model", code="insufficient_memory") from None
        except (ConfigError, WeightError) as error:
            raise ApiError("internal", str(error), param="model", code="model_broken") from None
        except EdgeError as error:
            raise ApiError("internal", str(error), param="model") from None
        resident = Resident(entry, engine, self.keep_alive_s, loaded_s=time.monotonic() - started)
        self._residents[entry.name] = resident
        return resident

    def _start_closing(self, resident: Resident) -> None:
        task = asyncio.get_running_loop().create_task(self._close(resident))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, resident: Resident) -> None:
        if self._residents.get(resident.entry.name) is resident:
            del self._residents[resident.entry.name]
            await asyncio.to_thread(resident.engine.close)
        self._room.set()
