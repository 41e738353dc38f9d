from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge.errors import ConfigError, MemoryPlanError
from edge.server.catalogue import ModelEntry
from edge.server.errors import ApiError
from edge.server.models import ModelShelf


class Fake:
    """An engine, as far as a shelf goes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def shelf(**settings: Any) -> tuple[ModelShelf, list[Fake]]:
    loaded: list[Fake] = []

    def load(entry: ModelEntry) -> Any:  # Any: stands for an engine
        if entry.name == "huge":
            raise MemoryPlanError("does not fit")
        if entry.name == "broken":
            raise ConfigError("is broken")
        loaded.append(Fake(entry.name))
        return loaded[-1]

    entries = [ModelEntry(name, name) for name in ("a", "b", "huge", "broken")]
    return ModelShelf(entries, load, default="a", **settings), loaded


async def use(models: ModelShelf, name: str | None, **settings: Any) -> str:
    async with models.lease(name, **settings) as resident:
        return resident.entry.name


def test_a_model_is_loaded_once_and_makes_room_for_another() -> None:
    async def run() -> None:
        models, loaded = shelf()
        assert [await use(models, name) for name in (None, "", "a", "a:latest", "b", "a")] == ["a"] * 4 + ["b", "a"]
        assert [(one.name, one.is_closed) for one in loaded] == [("a", True), ("b", True), ("a", False)]
        await models.close()
        assert all(one.is_closed for one in loaded)

    asyncio.run(run())


def test_a_model_in_use_is_waited_for() -> None:
    async def run() -> None:
        models, loaded = shelf()
        async with models.lease("a"):
            other = asyncio.create_task(use(models, "b"))
            await asyncio.sleep(0.05)
            assert not other.done()
            assert not loaded[0].is_closed
        assert await other == "b"
        assert loaded[0].is_closed

    asyncio.run(run())


def test_two_stay_when_two_may() -> None:
    async def run() -> None:
        models, loaded = shelf(resident=2)
        for name in ("a", "b", "a"):
            await use(models, name)
        assert [one.is_closed for one in loaded] == [False, False]

    asyncio.run(run())


def test_an_unused_model_goes_after_its_time() -> None:
    async def run() -> None:
        models, loaded = shelf(keep_alive_s=0.01)
        await use(models, "a")
        async with models.lease("a"):
            await asyncio.sleep(0.02)
            await models.unload_expired()
            assert not loaded[0].is_closed
        await asyncio.sleep(0.02)
        await models.unload_expired()
        assert loaded[0].is_closed

    asyncio.run(run())


def test_a_model_can_be_let_go_at_once() -> None:
    async def run() -> None:
        models, loaded = shelf()
        await use(models, "a", keep_alive_s=0)
        await asyncio.sleep(0.05)
        assert loaded[0].is_closed
        await use(models, "a")
        assert await models.unload("a")
        assert not await models.unload("a")

    asyncio.run(run())


@pytest.mark.parametrize(("name", "status"), [("huge", 503), ("broken", 500), ("none", 404)])
def test_a_model_that_cannot_be_had_is_an_error(name: str, status: int) -> None:
    async def run() -> None:
        models, _ = shelf()
        with pytest.raises(ApiError) as refused:
            await use(models, name)
        assert refused.value.status == status
        assert await use(models, "a") == "a"

    asyncio.run(run())


def test_aliases_name_models_and_a_star_takes_the_rest() -> None:
    models, _ = shelf(aliases={"claude": "b", "*": "a"})
    assert [models.find(name).name for name in ("claude", "claude:latest", "b", "anything")] == ["b", "b", "b", "a"]
    with pytest.raises(ConfigError, match="no such model"):
        shelf(aliases={"x": "none"})
