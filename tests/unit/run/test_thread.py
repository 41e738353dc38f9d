"""A process made by fork has no model thread: it is told so at once, in place of waiting for ever."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable

import pytest

from edge.engine import Engine
from edge.errors import EdgeError
from edge.results import EventStream
from tests.unit.run.engines import engine, request
from tests.unit.run.tiny import picture_prompt

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not made by fork here")
MOST_S = 10


def said_by_a_child(act: Callable[[], object]) -> str:
    """Do something in a forked process; returns the line of its error, or what it gave as text."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads
        child = os.fork()
    if child == 0:
        signal.alarm(MOST_S)
        try:
            text = str(act())
        except EdgeError as error:
            text = str(error)
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the process waited until it was ended"
    return text


def taken(stream: EventStream) -> object:
    return [*stream]


ACTS: list[tuple[Callable[[Engine, EventStream], object], str]] = [
    (lambda one, _: one.answer(request(picture_prompt())), "The engine was loaded by another process"),
    (lambda one, _: one.memory(), "The engine was loaded by another process"),
    (lambda one, _: next(one.map([request(picture_prompt())])).error, "The engine was loaded by another process"),
    (lambda _, stream: taken(stream), "The request runs in another process"),
    (lambda _, stream: stream.close(), "None"),
    (lambda one, _: one.close(), "None"),
    (lambda _one, _stream: engine(), "cannot load one. Start it by spawn"),
]


@pytest.mark.parametrize(("act", "said"), ACTS)
def test_nothing_waits_in_a_forked_process(act: Callable[[Engine, EventStream], object], said: str) -> None:
    with engine() as one, one.stream(request(picture_prompt(), max_tokens=200)) as stream:
        assert said in said_by_a_child(lambda: act(one, stream))
        assert stream.answer().finish_reason == "length"
