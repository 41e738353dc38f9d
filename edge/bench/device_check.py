"""Measure a random model in 4 bits at full depth against mlx-lm and mlx-vlm, without a checkpoint: what a GPU gives.

In: nothing. Out: figures of all, by turns in one run. On a CUDA or Apple GPU the model is the 30B, made on the spot;
where there is no GPU it is a tiny one, and a note says so. Kernels that are compiled at their first use are warmed up
before anything is timed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import mlx.core as mx
import numpy as np

from edge.bench.figures import Figure, figure_of
from edge.bench.machine import GB
from edge.bench.measures import graph_figures
from edge.bench.peer_models import mlx_lm_model, mlx_vlm_model
from edge.bench.picture_turn import SeeingRunner, random_turn, turn_figures
from edge.bench.random_model import random_model, random_parameters, with_layers
from edge.bench.runners import MlxLmRunner, MlxVlmRunner, OurRunner, Runner, build_s, decode_s, prefill_s
from edge.bench.token_cost import token_cost
from edge.config import ModelConfig, MoeConfig
from edge.errors import UsageError
from edge.model.qwen3vl import Qwen3VL
from edge.plan.family import FAMILY

LARGE, PAIRS = "30B-A3B", 3
ON_GPU, ON_CPU = (2000, 128), (256, 32)
"""Tokens of the prompt, and tokens decoded behind it; on a CPU all of it takes seconds."""
TINY_NOTE = (
    "There is no GPU here: this is a tiny random model on the CPU. It shows that everything runs and how runtimes "
    "compare in host work, not how fast a model is."
)
SLICE_NOTE = "There is no GPU here: this is a random slice at real widths on the CPU, in float32."
NO_PEER_NOTE = "{} is not installed: it is left out of the comparison."
TINY_TOKENS = 1000
"""Token ids of the tiny model that stand for text."""
PICTURE_PATCHES = (1, 64, 64)


def has_gpu() -> bool:
    """Tell whether MLX computes on a GPU here."""
    return mx.default_device().type == mx.DeviceType.gpu


def check_config(num_layers: int | None = None, *, is_large: bool | None = None) -> ModelConfig:
    """Choose the model: the 30B on a GPU, a tiny one of its structure on the CPU.

    Args:
        num_layers: Of the decoder; None takes the model's, or 4 of the tiny one.
        is_large: Real widths; None asks whether there is a GPU.
    """
    large = FAMILY[LARGE]
    if has_gpu() if is_large is None else is_large:
        return large if num_layers is None else with_layers(large, num_layers)
    text = replace(
        large.text,
        hidden_size=128,
        num_heads=8,
        num_kv_heads=2,
        head_dim=64,
        vocab_size=1024,
        rope=replace(large.text.rope, mrope_section=(12, 10, 10)),
        moe=MoeConfig(16, 4, 64, decoder_sparse_step=1, mlp_only_layers=()),
    )
    vision = replace(
        large.vision,
        depth=2,
        hidden_size=64,
        intermediate_size=128,
        num_heads=2,
        out_hidden_size=128,
        deepstack_indexes=(0,),
    )
    tiny = replace(
        large,
        text=text,
        vision=vision,
        image_token_id=TINY_TOKENS,
        video_token_id=TINY_TOKENS + 1,
        vision_start_token_id=TINY_TOKENS + 2,
        vision_end_token_id=TINY_TOKENS + 3,
    )
    return with_layers(tiny, num_layers or 4)


def check_name(config: ModelConfig) -> str:
    """Name the model of `check_config`."""
    return "random 30B" if _is_large(config) else "tiny random model"


def check_figures(config: ModelConfig, notes: list[str]) -> Iterator[Figure]:
    """Make the models and measure them.

    Args:
        config: Sizes.
        notes: Gets what the reader has to know, most of it before the first figure.
    """
    prompt_tokens, decode_tokens = ON_GPU if has_gpu() else ON_CPU
    if not has_gpu():
        notes.append(SLICE_NOTE if _is_large(config) else TINY_NOTE)
    dtype = mx.bfloat16 if has_gpu() else mx.float32
    model = random_model(config, dtype=dtype)
    ours = OurRunner(model)
    peers = _peers(config, dtype, notes)
    runners: list[Runner] = [ours, *peers]
    ids = np.random.default_rng(0).integers(0, config.text.vocab_size, prompt_tokens).astype(np.int32)
    yield Figure("compute type", 8 * dtype.size, "bits")
    yield Figure("same first token", float(len({_first(runner, ids) for runner in runners}) == 1), "1 is yes")
    for runner in runners:  # kernels are compiled at their first use
        prefill_s(runner, ids)
        decode_s(runner, 4)
    yield from _paired(runners, ids, decode_tokens)
    yield from _vision(model, dtype)
    seeing: list[SeeingRunner] = [ours, *(runner for runner in peers if isinstance(runner, MlxVlmRunner))]
    yield from turn_figures(seeing, random_turn(config, _grid()), repeats=PAIRS)
    yield from graph_figures(token_cost(model))


def _peers(config: ModelConfig, dtype: mx.Dtype, notes: list[str]) -> list[MlxLmRunner | MlxVlmRunner]:
    """Make the models of the runtimes that are installed; they share their arrays, ours holds its own."""
    weights = cache(lambda: dict(random_parameters(config, dtype=dtype)))
    made: list[MlxLmRunner | MlxVlmRunner] = []
    try:
        made.append(MlxLmRunner(mlx_lm_model(config, weights)))
    except UsageError:
        notes.append(NO_PEER_NOTE.format("mlx-lm"))
    try:
        made.append(MlxVlmRunner(mlx_vlm_model(config, weights)))
    except UsageError:
        notes.append(NO_PEER_NOTE.format("mlx-vlm"))
    return made


def _is_large(config: ModelConfig) -> bool:
    return config.text.hidden_size == FAMILY[LARGE].text.hidden_size


def _first(runner: Runner, ids: np.ndarray) -> int:
    runner.start()
    return int(np.array(runner.forward(mx.array(ids[None])))[0])


def _paired(runners: Sequence[Runner], ids: np.ndarray, decode_tokens: int) -> Iterator[Figure]:
    prefill: dict[str, list[float]] = {runner.name: [] for runner in runners}
    decode: dict[str, list[float]] = {runner.name: [] for runner in runners}
    build: dict[str, list[float]] = {runner.name: [] for runner in runners}
    peak: dict[str, float] = {}
    for number in range(PAIRS):
        for runner in runners if number % 2 == 0 else list(reversed(runners)):
            before = mx.get_active_memory()
            mx.reset_peak_memory()
            prefill[runner.name].append(len(ids) / prefill_s(runner, ids))
            decode[runner.name].append(decode_tokens / decode_s(runner, decode_tokens))
            peak[runner.name] = (mx.get_peak_memory() - before) / GB
            build[runner.name].append(1e3 * statistics.median(build_s(runner, 12)))
            runner.start()
            mx.clear_cache()
    for what, unit, runs in (
        ("prefill", "tokens/s", prefill),
        ("decode", "tokens/s", decode),
        ("host time a token", "ms", build),
    ):
        for name, values in runs.items():
            yield figure_of(what, values, unit, of=name)
        (_, mine), *others = runs.items()
        for name, other in others:
            yield figure_of(f"{what}, to {name}", [a / b for a, b in zip(mine, other, strict=True)], "x")
    for name, value in peak.items():
        yield Figure("peak beside weights", value, "GB", {"of": name})


def _vision(model: Qwen3VL, dtype: mx.Dtype) -> Iterator[Figure]:
    """Time the tower on a picture of 1024x1024, or the tiny one on the same patches."""
    import time

    grid = _grid()
    num_patches = grid[0] * grid[1] * grid[2]
    patches = mx.zeros((num_patches, model.config.vision.patch_values)).astype(dtype)
    runs = []
    for _ in range(3):
        started = time.perf_counter()
        output = model.encode_vision(patches, [grid])
        mx.eval(output.features, *output.deepstack)
        runs.append(time.perf_counter() - started)
    yield figure_of("picture tower", runs[1:], "s", patches=num_patches)


def _grid() -> tuple[int, int, int]:
    return PICTURE_PATCHES if has_gpu() else (1, 8, 8)
