"""Streams of events: closing and cancelling them from the thread that reads and from others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from queue import SimpleQueue

import pytest

from edge.errors import MediaError
from edge.events import Event, FinishEvent, TextEvent
from edge.results import EventStream
from edge.run.job import Job
from tests.unit.run.engines import ask, engine, request
from tests.unit.run.tiny import picture_prompt

LONG = 450  # tokens: an answer that nobody waits for


def long_stream() -> EventStream:
    return engine().stream(request(picture_prompt(), max_tokens=LONG))


def within_a_minute(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it still waits"


@pytest.mark.parametrize("num_taken", [0, 2, 1000])
def test_the_answer_is_whole_however_many_events_were_taken(num_taken: int) -> None:
    given = engine()
    whole = ask(given, picture_prompt()).text
    stream = given.stream(request(picture_prompt()))
    taken = list(islice(stream, num_taken))
    assert bool(taken) is bool(num_taken)
    assert stream.answer().text == whole
    assert stream.answer().finish_reason == "length"


def test_the_answer_of_a_closed_stream_is_what_was_taken() -> None:
    stream = long_stream()
    taken = "".join(event.text for event in islice(stream, 10) if isinstance(event, TextEvent))
    stream.close()
    assert (stream.answer().text, stream.answer().finish_reason) == (taken, "cancelled")


def test_a_stream_that_ended_gives_nothing_more() -> None:
    stream = engine().stream(request(picture_prompt()))
    assert list(stream)
    assert list(stream) == []


@pytest.mark.parametrize("stop", [EventStream.close, EventStream.cancel])
def test_the_finish_event_comes_after_a_stop(stop: Callable[[EventStream], None]) -> None:
    stream = long_stream()
    next(stream)
    stop(stream)
    last = list(stream)[-1]
    assert isinstance(last, FinishEvent)
    assert last.reason == "cancelled"
    assert list(stream) == []


def test_close_drops_what_was_not_taken() -> None:
    stream = long_stream()
    stream.close()
    assert [type(event) for event in stream] == [FinishEvent]


@pytest.mark.parametrize("stop", [EventStream.close, EventStream.cancel])
def test_a_reader_and_who_stops_it_from_another_thread_both_come_back(stop: Callable[[EventStream], None]) -> None:
    for _ in range(20):
        stream = long_stream()
        first: list[Event] = [next(stream)]
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(stream.answer)
            within_a_minute(partial(stop, stream))
            assert reading.result(60).finish_reason == "cancelled"
        assert first


def test_leaving_the_with_block_cancels_and_frees_the_row() -> None:
    given = engine(max_rows=1)
    with given.stream(request(picture_prompt(), max_tokens=LONG)) as stream:
        next(stream)
    assert ask(given, picture_prompt(seed=1)).text == ask(engine(), picture_prompt(seed=1)).text


def test_what_ended_a_request_is_raised_once_even_after_close() -> None:
    inbox: SimpleQueue[Event | BaseException] = SimpleQueue()
    prompt = picture_prompt()
    stream = EventStream(Job(request(prompt), prompt, None, inbox.put, 0.0), inbox, owner=None)
    for item in (TextEvent("a"), MediaError("the picture went away.")):
        inbox.put(item)
    stream.close()
    with pytest.raises(MediaError, match="went away"):
        next(stream)
    assert list(stream) == []
    with pytest.raises(MediaError, match="went away"):
        stream.answer()
