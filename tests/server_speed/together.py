"""Sixteen clients at once against one after another, what something large holds up, and whose turn it is."""

from __future__ import annotations

import base64
import io
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import psutil
from PIL import Image

from edge.loading import demo_folder
from tests.server_speed.asking import Answered, Rate, ask, ask_together
from tests.system.server_process import ServerProcess

Json = Any
CLIENTS = 16
TOKENS = 60
KEYS = ("the-many", "the-few")
PICTURE_PX = 4096
SEEN_PX = 512
"""The demo's context holds about so large a square beside an answer, on a processor in bearable time."""


def barred_ends() -> dict[str, int]:
    """Return a bias against all end tokens, so that answers are as long as they may be."""
    import json

    ends = json.loads((demo_folder() / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"]
    return {str(token): -100 for token in ends}


def question(number: int, *, tokens: int = TOKENS) -> Json:
    """Make one client's question; no two share a beginning worth keeping."""
    return {
        "model": "demo",
        "messages": [{"role": "user", "content": f"{number} things about shapes: tell me."}],
        "max_tokens": tokens,
        "temperature": 0,
        "logit_bias": barred_ends(),
        "reasoning_effort": "none",
    }


def throughput(server: ServerProcess) -> tuple[Rate, Rate]:
    """Return the rates of questions asked one after another, and of as many asked at once."""
    address, process = server.url.removeprefix("http://"), psutil.Process(server.process.pid)
    ask_together(address, [question(99)], process=process)
    rates = [ask_together(address, [question(number)], process=process) for number in range(CLIENTS)]
    single = Rate(
        1,
        sum(rate.tokens for rate in rates),
        sum(rate.wall_s for rate in rates),
        sum(rate.cpu_s for rate in rates),
        statistics.median(rate.first_s for rate in rates),
    )
    return single, ask_together(address, [question(100 + number) for number in range(CLIENTS)], process=process)


def gaps(server: ServerProcess) -> Iterator[str]:
    """Stream one answer while something large comes in, and tell how long its tokens stood still."""
    address, process = server.url.removeprefix("http://"), psutil.Process(server.process.pid)
    ask(address, question(0))
    for name, body in (("nothing", None), ("a prompt of thousands of tokens", _long()), ("a picture", _picture())):
        yield _disturbed(address, process, name, body)


def fairness(server: ServerProcess) -> str:
    """Let one client send many questions and another one after it; tell how many go before the latter's."""
    address = server.url.removeprefix("http://")
    done: list[str] = []

    def client(key: str, number: int) -> None:
        ask(address, question(number, tokens=20), key=key)
        done.append(key)

    threads = [threading.Thread(target=client, args=(KEYS[0], number)) for number in range(12)]
    threads.append(threading.Thread(target=client, args=(KEYS[1], 50)))
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    return f"of 12 questions of another client that were there before, {done.index(KEYS[1])} were answered first"


def _disturbed(address: str, process: psutil.Process, name: str, body: Json) -> str:
    found: list[Answered] = []
    asking = partial(ask, address, question(7, tokens=200), process=process)
    listener = threading.Thread(target=lambda: found.append(asking()))
    listener.start()
    time.sleep(1.0)
    other = ask(address, body, process=process) if body else None
    listener.join()
    (answer,) = found
    if other is None:
        own, work = answer.gaps_s, _steps(answer.worked_s)
        return f"{name}: median gap {statistics.median(own):.3f} s, {statistics.median(work):.3f} s of the processor"
    is_during = [other.started_s <= at <= other.arrivals_s[0] for at in answer.arrivals_s]
    first, last = is_during.index(True), len(is_during) - 1 - is_during[::-1].index(True)
    clock, work = _steps(answer.arrivals_s[first : last + 1]), _steps(answer.worked_s[first : last + 1])
    total = other.worked_s[0] - answer.worked_s[first]
    return (
        f"{name} ({other.prompt_tokens} tokens): first token after {other.first_s:.1f} s; meanwhile {last - first + 1} "
        f"pieces of the other answer; longest gap {max(clock):.3f} s on the clock; of the processor {max(work):.3f} s, "
        f"median {statistics.median(work):.3f} s, {max(work) / total:.0%} of all {total:.1f} s"
    )


def _steps(marks: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(marks)]


def _long() -> Json:
    text = " ".join(f"Line {number} of a text." for number in range(250))
    body = question(8, tokens=2)
    return {**body, "messages": [{"role": "user", "content": text}]}


def _picture() -> Json:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((PICTURE_PX, PICTURE_PX)).convert("RGB").save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    part = {"type": "image_url", "image_url": {"url": url}, "max_pixels": SEEN_PX * SEEN_PX}
    body = question(9, tokens=2)
    return {**body, "messages": [{"role": "user", "content": [part, {"type": "text", "text": "What is this?"}]}]}
