"""The public face: every name is there, listed, and documented; importing it costs nothing."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from typing import Any

import pytest

import edge
from edge.errors import RequestError
from edge.version import describe_version
from tests.unit.run.engines import engine

DATA = [name for name in edge.__all__ if dataclasses.is_dataclass(getattr(edge, name))]
ENGINE_METHODS = [
    name for name in vars(edge.Engine) if not name.startswith("_") and callable(getattr(edge.Engine, name))
]


@pytest.mark.parametrize("name", edge.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(edge, name) is not None
    assert name in dir(edge)


@pytest.mark.parametrize(
    "name", [name for name in edge.__all__ if inspect.isroutine(found := getattr(edge, name)) or inspect.isclass(found)]
)
def test_every_public_class_and_function_is_documented(name: str) -> None:
    assert (inspect.getdoc(getattr(edge, name)) or "").split("\n")[0].endswith(".")


@pytest.mark.parametrize("name", DATA)
def test_every_field_of_public_data_is_documented(name: str) -> None:
    fields = dataclasses.fields(getattr(edge, name))
    docstring = inspect.getdoc(getattr(edge, name)) or ""
    if len(fields) > 2:
        assert not [field.name for field in fields if f"    {field.name}: " not in docstring]


@pytest.mark.parametrize("name", ENGINE_METHODS)
def test_every_method_of_an_engine_is_documented(name: str) -> None:
    assert (getattr(edge.Engine, name).__doc__ or "").strip()


@pytest.mark.parametrize(
    "name", ["ask", "stream", "answer", "astream", "aanswer", "count_tokens", "build_prompt", "chat"]
)
def test_methods_that_take_requests_say_what_they_raise(name: str) -> None:
    assert "aises" in (getattr(edge.Engine, name).__doc__ or "")


@pytest.mark.parametrize("kind", [edge.Engine, edge.EventStream, edge.Conversation])
def test_threads_are_told(kind: type) -> None:
    assert "thread" in (kind.__doc__ or "")


def test_importing_it_loads_neither_the_model_nor_numpy() -> None:
    code = "import edge, sys; dir(edge); print(sorted(set(sys.modules) & {'mlx', 'numpy', 'PIL', 'asyncio'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = edge.lod  # type: ignore[attr-defined]  # that is the point


@pytest.mark.parametrize("method", ["answer", "stream", "build_prompt", "count_tokens"])
@pytest.mark.parametrize("given", ["hi", 5, None])
def test_what_is_no_request_is_refused(method: str, given: Any) -> None:  # Any: that is the point
    with pytest.raises(RequestError) as caught:
        getattr(engine(), method)(given)
    assert caught.value.field in ("request", "messages")


def test_the_version_is_told() -> None:
    assert describe_version().startswith(f"qwen3vl-edge {edge.__version__},")


@pytest.mark.parametrize("model", ["", 5])
def test_what_names_no_model_is_refused(model: Any) -> None:  # Any: that is the point
    with pytest.raises(RequestError, match="expected a folder, a GGUF file or a hub id") as caught:
        edge.load(model)
    assert caught.value.field == "model"


def test_an_engine_says_which_it_is() -> None:
    assert repr(engine()) == "<edge.Engine of 'tiny', 512 tokens of context>"


def test_limits_of_another_type_are_refused() -> None:
    with pytest.raises(RequestError, match="expected EngineLimits, found dict"):
        edge.load(limits={"max_rows": 2})  # type: ignore[arg-type]  # that is the point


def test_a_cancel_that_is_none_harms_nobody() -> None:
    given = edge.load()
    with given:
        stream = given.stream(edge.Request(messages=[edge.user_message("Who are you?")]))
        with pytest.raises(RequestError, match="cancel: expected"):
            given.ask("hi", cancel="soon")
        assert stream.answer().finish_reason == "stop"
