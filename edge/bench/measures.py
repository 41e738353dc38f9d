"""What is measured of a checkpoint, one family of figures a function; each gives its figures as they come.

In: an engine and what was asked for. Speeds are those of the engine, as programs get them, not of the bare model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from edge.bench.asking import Asking
from edge.bench.figures import Figure, figure_of
from edge.bench.machine import GB, Machine, measured_gb_per_s
from edge.bench.token_cost import TokenCost, token_cost
from edge.conversation import user_message
from edge.events import Usage
from edge.model.qwen3vl import Qwen3VL
from edge.records import dataclass
from edge.run.loop import Model
from edge.run.replay import ShortForwards


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure.

    Attributes:
        depths: Tokens of prompts.
        rows: Numbers of requests at a time.
        pictures: Widths and heights.
        tokens: Tokens of an answer.
        repeats: Runs of each.
    """

    depths: Sequence[int]
    rows: Sequence[int]
    pictures: Sequence[tuple[int, int]]
    tokens: int
    repeats: int


def depth_figures(asking: Asking, asked: Asked) -> Iterator[Figure]:
    """Measure prefill and decode behind prompts of some lengths, and the peak of memory."""
    for depth in asked.depths:
        runs = [asking.run(asking.prompt(depth), asked.tokens) for _ in range(asked.repeats)]
        yield figure_of("prefill", [run.prefill_tokens_per_s for run in runs], "tokens/s", tokens=depth)
        yield figure_of("decode", [run.decode_tokens_per_s for run in runs], "tokens/s", tokens=depth)
        yield figure_of("peak memory", [run.peak_bytes / GB for run in runs], "GB", tokens=depth)


def row_figures(asking: Asking, asked: Asked) -> Iterator[Figure]:
    """Measure the decode speed of some requests at a time, over all of them."""
    depth = min(asked.depths)
    for num_rows in asked.rows:
        if num_rows > asking.engine.limits.max_rows:
            continue
        speeds = [_speed_of_rows(asking, num_rows, depth, asked.tokens) for _ in range(asked.repeats)]
        yield figure_of("decode, all rows", speeds, "tokens/s", rows=num_rows, tokens=depth)


def picture_figures(asking: Asking, asked: Asked) -> Iterator[Figure]:
    """Measure a picture's way: reading and resizing, the tower, to the first token; then a second question about it."""
    for width, height in asked.pictures:
        size, runs, second = f"{width}x{height}", [], []
        for _ in range(asked.repeats):
            first = [user_message("What is in this picture?", images=[asking.picture(width, height)])]
            answer = asking.stream(first, 2).answer()
            runs.append(answer.usage)
            more = [*first, {"role": "assistant", "content": answer.text}, user_message("And what else?")]
            second.append(asking.run(more, 2))
        yield figure_of("picture preprocessing", [run.prompt_s for run in runs], "s", picture=size)
        yield figure_of("picture tower", [run.vision_s for run in runs], "s", picture=size)
        yield figure_of("picture first token", [run.first_token_s for run in runs], "s", picture=size)
        yield figure_of("picture tokens", [run.prompt_tokens for run in runs], "tokens", picture=size)
        yield figure_of("picture second turn", [run.first_token_s for run in second], "s", picture=size)
        yield figure_of("picture peak memory", [run.peak_bytes / GB for run in runs], "GB", picture=size)


def warm_figures(asking: Asking, asked: Asked) -> Iterator[Figure]:
    """Measure the first token of a short question to a model that is loaded, and of the question after it."""
    first, second = [], []
    for _ in range(asked.repeats):
        messages = asking.prompt(min(asked.depths))
        answer = asking.stream(messages, 2).answer()
        first.append(answer.usage)
        more = [*messages, {"role": "assistant", "content": answer.text}, user_message("And then?")]
        second.append(asking.run(more, 2))
    yield figure_of("first token, warm", [run.first_token_s for run in first], "s")
    yield figure_of("second turn", [run.first_token_s for run in second], "s")
    yield figure_of("second turn, reused", [_reused(run) for run in second], "%")


def cost_figures(asking: Asking, asked: Asked, machine: Machine, decode: Callable[[int], float]) -> Iterator[Figure]:
    """Count what a token costs, and say how much of the memory's bandwidth decoding uses.

    Args:
        asking: The engine.
        asked: Depths.
        machine: With its stated bandwidth, if it is known.
        decode: Tokens per second that were measured behind a prompt of some tokens.
    """
    cost = asking.engine.call_model(lambda model: token_cost(whole(model), kv_bits=asking.engine.limits.kv_bits))
    yield from graph_figures(cost)
    bandwidth = asking.engine.call_model(lambda _: measured_gb_per_s())
    yield Figure("memory bandwidth", bandwidth, "GB/s", {"kind": "measured"})
    if machine.stated_gb_per_s is not None:
        yield Figure("memory bandwidth", machine.stated_gb_per_s, "GB/s", {"kind": "stated"})
    best, kind = (machine.stated_gb_per_s, "stated") if machine.stated_gb_per_s else (bandwidth, "measured")
    for depth in asked.depths:
        num_bytes = cost.bytes_at(depth)
        yield Figure("bytes a token", num_bytes / GB, "GB", {"tokens": depth})
        share = 100 * num_bytes / GB * decode(depth) / best
        yield Figure("bandwidth used", share, "%", {"tokens": depth, "of": kind})


def graph_figures(cost: TokenCost) -> Iterator[Figure]:
    """Tell the launches and the host's time of a token."""
    yield Figure("launches a layer", cost.per_layer, "")
    yield Figure("launches outside", cost.outside, "")
    yield Figure("host time a token", 1e3 * cost.build_s, "ms", {"of": "building the graph"})
    for kind, count in cost.launches.most_common():
        yield Figure("launches", count, "a token", {"kind": kind})


def whole(model: Model) -> Qwen3VL:
    """Return the model behind what the loop calls."""
    found = model.model if isinstance(model, ShortForwards) else model
    assert isinstance(found, Qwen3VL), "the engine of a checkpoint has a whole model"
    return found


def _speed_of_rows(asking: Asking, num_rows: int, depth: int, num_tokens: int) -> float:
    streams = [asking.stream(asking.prompt(depth), num_tokens) for _ in range(num_rows)]
    used = [stream.answer().usage for stream in streams]
    return sum(usage.completion_tokens for usage in used) / max(usage.decode_s for usage in used)


def _reused(usage: Usage) -> float:
    return 100 * usage.cached_tokens / usage.prompt_tokens
