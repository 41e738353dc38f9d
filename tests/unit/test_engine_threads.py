"""One engine from many threads and tasks: nothing wrong, nothing lost, and it ends cleanly."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from edge.engine import Engine
from edge.errors import EdgeError, MediaError, PromptError, RequestError
from edge.prompt.build import Prompt
from edge.request import Request
from edge.run.sample import SamplingParams
from tests.unit.run.engines import GivenPrompts, ask, engine, next_turn, request
from tests.unit.run.tiny import continued, picture, picture_prompt, prompt_of

PROMPTS = [
    picture_prompt(),
    picture_prompt(seed=5),
    continued(picture_prompt(), [40, 41]),
    prompt_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]),
    prompt_of([9]),
    prompt_of([4], picture((1, 6, 4), seed=3), [5, 6, 7, 8]),
]
PARAMS = [SamplingParams(temperature=0.0), SamplingParams(temperature=1.1, seed=5)]


@pytest.fixture
def tiny_switches() -> Iterator[None]:
    """Let Python change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def requests(count: int) -> list[Request]:
    return [
        request(PROMPTS[i % len(PROMPTS)], max_tokens=1 + i % 7, sampling=PARAMS[i % len(PARAMS)]) for i in range(count)
    ]


def single_answers(count: int) -> list[str]:
    """Each request alone on an engine that has nothing kept."""
    texts: dict[tuple[int, int, int], str] = {}
    for i, one in enumerate(requests(count)):
        key = (i % len(PROMPTS), i % len(PARAMS), i % 7)
        if key not in texts:
            with engine() as alone:
                texts[key] = alone.answer(one).text
    return [texts[i % len(PROMPTS), i % len(PARAMS), i % 7] for i in range(count)]


@pytest.mark.usefixtures("tiny_switches")
def test_eight_threads_with_fifty_requests_each_get_their_own_answers() -> None:
    given, expected = engine(max_rows=8), single_answers(50)

    def work(_: int) -> list[str]:
        return [given.answer(one).text for one in requests(50)]

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(work, range(8)))
    assert found == [expected] * 8


@pytest.mark.usefixtures("tiny_switches")
def test_three_continuations_at_the_same_time_each_reuse_the_whole_turn() -> None:
    given = engine()
    first = ask(given, picture_prompt())
    turns = [continued(next_turn(picture_prompt(), first), [50 + i]) for i in range(3)]
    with ThreadPoolExecutor(max_workers=3) as pool:
        answers = list(pool.map(lambda prompt: ask(given, prompt), turns))
    # All of the turn that was computed, and perhaps what a running neighbour has computed by then.
    assert min(answer.usage.cached_tokens for answer in answers) >= len(picture_prompt().token_ids) + 7
    assert [answer.text for answer in answers] == [ask(engine(), prompt).text for prompt in turns]


def test_fifty_tasks_of_which_ten_are_cancelled() -> None:
    given, expected = engine(max_rows=6), single_answers(50)

    async def run() -> list[str | None]:
        tasks = [asyncio.create_task(given.aanswer(one)) for one in requests(50)]
        await asyncio.sleep(0.05)
        for task in tasks[::-5]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [None if isinstance(result, BaseException) else result.text for result in results]

    found = asyncio.run(run())
    assert found.count(None) <= 10
    assert [text for text in found if text is not None] == [
        right for text, right in zip(found, expected, strict=True) if text is not None
    ]
    assert ask(given, picture_prompt()).text == ask(engine(), picture_prompt()).text


def test_leaving_an_asynchronous_stream_frees_its_row() -> None:
    given = engine(max_rows=1)

    async def run() -> str:
        async for _ in given.astream(request(picture_prompt(), max_tokens=450)):
            break
        return (await given.aanswer(request(PROMPTS[3]))).text

    assert asyncio.run(run()) == ask(engine(), PROMPTS[3]).text


def test_map_gives_every_result_beside_its_request() -> None:
    given, expected = engine(max_rows=4), single_answers(20)
    asked = requests(20)
    results = list(given.map(iter(asked)))
    assert sorted(result.index for result in results) == list(range(20))
    for result in results:
        assert result.request is asked[result.index]
        assert result.answer is not None
        assert result.answer.text == expected[result.index]


class RefusingPrompts(GivenPrompts):
    """Refuses prompts whose first token is 66."""

    def build(self, messages: object, *, tools: object, options: object) -> Prompt:
        prompt = super().build(messages, tools=tools, options=options)  # type: ignore[arg-type]  # as the base
        if prompt.token_ids[0] == 66:
            raise MediaError("cat.png: no such file.")
        return prompt


def test_an_error_stands_beside_its_request_and_disturbs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.run.engines.GivenPrompts", RefusingPrompts)
    asked = [request(prompt_of([first, 2, 3])) for first in (1, 66, 3)]
    results = {result.index: result for result in engine().map(asked)}
    assert "no such file" in str(results[1].error)
    assert results[1].answer is None
    assert [results[i].error for i in (0, 2)] == [None, None]


def test_leaving_map_early_frees_its_rows() -> None:
    given = engine(max_rows=2)
    for _ in given.map(request(picture_prompt(seed=i), max_tokens=2 + 400 * (i > 0)) for i in range(50)):
        break
    assert ask(given, PROMPTS[3]).text == ask(engine(), PROMPTS[3]).text


def test_a_closed_engine_cancels_what_runs_and_refuses_more() -> None:
    given = engine()
    stream = given.stream(request(picture_prompt(), max_tokens=450))
    next(stream)
    given.close()
    assert list(stream)[-1].reason == "cancelled"  # type: ignore[union-attr]  # the finish event
    with pytest.raises(EdgeError, match="closed"):
        ask(given, picture_prompt())
    given.close()


def test_an_engine_that_nobody_holds_ends_and_its_thread_is_taken_up_again() -> None:
    before = threading.active_count()
    for _ in range(5):
        ask(engine(), PROMPTS[3])
        gc.collect()
    assert threading.active_count() <= before + 2


def test_a_stream_keeps_its_engine() -> None:
    stream = engine().stream(request(PROMPTS[3]))
    gc.collect()
    assert stream.answer().text == ask(engine(), PROMPTS[3]).text


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("runs", [True, False])
def test_a_program_ends_quietly_with_and_without_close(closes: bool, runs: bool) -> None:
    code = "import edge; engine = edge.load(); engine.ask('hi', max_tokens=2)"
    code += "; stream = engine.stream(edge.Request(messages=[{'role': 'user', 'content': 'hi'}]))" if runs else ""
    code += "; engine.close()" if closes else ""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_errors_of_the_prompt_are_raised_where_it_is_asked() -> None:
    with pytest.raises(PromptError, match="context holds"):
        Engine.stream(engine(), request(picture_prompt(), max_tokens=600))


@pytest.mark.parametrize("requests", [request(PROMPTS[4]), 5, None])
def test_map_refuses_at_once_what_gives_no_requests(requests: Any) -> None:  # Any: that is the point
    with engine() as one, pytest.raises(RequestError, match="expected Requests, one after the other") as caught:
        one.map(requests)
    assert caught.value.field == "requests"


def test_copies_of_what_holds_an_engine_hold_the_same_one() -> None:
    with engine() as one:
        assert copy.deepcopy({"engine": one})["engine"] is one
        assert copy.copy(one) is one
        with pytest.raises(EdgeError, match="Load the model there"):
            pickle.dumps(one)
