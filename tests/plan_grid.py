"""Hold the plan's peak against the measured one over a grid of contexts, pictures and bits of keys and values.

    python -m tests.plan_grid demo
    python -m tests.plan_grid slice
    python -m tests.plan_grid tower [SIDE ...]

In: the demo checkpoint, or two decoder layers and three vision blocks of random 4-bit weights at the widths of the 30B,
or two blocks of either's tower alone (with sides, in patches: the 30B's at these). Out: a line for each point: planned
and measured peak, weights included, and the same beside the weights. On the CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import mlx.core as mx
import numpy as np

from edge.checkpoint.build import build_model
from edge.checkpoint.names.hub import expected_parameters, packed_targets
from edge.config import LayerQuantization, ModelConfig, VisionConfig
from edge.engine import Engine
from edge.kv.make import KvBits
from edge.limits import EngineLimits
from edge.memory import precision_for, vision_bytes
from edge.model.qwen3vl import Qwen3VL
from edge.model.vision import VisionTower
from edge.plan.estimate import Estimate, Task, estimate
from edge.plan.family import FAMILY
from edge.plan.recipes import recipe_formats
from edge.run.flight import held_to
from edge.settings import GenerationSettings, ImageSettings
from edge.version import describe_version
from tests.unit.run.engines import GivenPrompts, ask
from tests.unit.run.tiny import picture, prompt_of

ANSWER_TOKENS = 4
Parameters = Iterator[tuple[str, mx.array]]


@dataclass(frozen=True, slots=True)
class Point:
    """One request: bits of keys and values, tokens of text, patches along a side of a square picture (0: none)."""

    kv_bits: KvBits | None
    text_tokens: int
    side_patches: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was planned and measured, in bytes; `weights` are in both peaks."""

    point: Point
    plan: Estimate
    weights: int
    planned: int
    peak: int

    @property
    def line(self) -> str:
        """Both peaks, and their ratio with and without weights."""
        point, mb = self.point, 1_000_000
        beside = (self.planned - self.weights) / (self.peak - self.weights)
        parts = [f"{name} {getattr(self.plan, name) / mb:.1f}" for name in ("keys_values", "chunk", "vision")]
        return (
            f"kv {point.kv_bits or 16} bits, {point.text_tokens} tokens, picture {point.side_patches**2} patches: "
            f"planned {self.planned / mb:.1f} MB, measured {self.peak / mb:.1f} MB, ratio {self.ratio:.3f}, "
            f"beside the weights {beside:.3f} ({', '.join(parts)})"
        )

    @property
    def ratio(self) -> float:
        """Planned to measured."""
        return self.planned / self.peak


DEMO_GRID = [
    *(Point(bits, tokens) for bits in (None, 8, 4) for tokens in (250, 1000)),
    Point(None, 3000),
    *(Point(None, 100, side) for side in (8, 16, 32)),
    Point(8, 100, 16),
    Point(None, 1000, 16),
]
SLICE_GRID = [Point(None, 64), Point(None, 256), Point(8, 64), Point(None, 16, 16), Point(None, 16, 32)]


def measure(config: ModelConfig, read_model: Callable[[], Qwen3VL], points: list[Point]) -> Iterator[Measured]:
    """Ask one question a point, each of an engine of its own where the bits change."""
    for bits in dict.fromkeys(point.kv_bits for point in points):
        with _engine(config, read_model, bits) as engine:
            for point in [point for point in points if point.kv_bits == bits]:
                yield _ask(engine, config, point)


def _ask(engine: Engine, config: ModelConfig, point: Point) -> Measured:
    engine.forget_kept()
    weights = engine.memory().active_bytes
    ids = np.random.default_rng(point.text_tokens).integers(200, 900, point.text_tokens).tolist()
    side = point.side_patches
    parts = [picture((1, side, side), model=config)] if side else []
    prompt = prompt_of(ids[:10], *parts, ids[10:], model=config)
    answer = ask(engine, prompt, max_tokens=ANSWER_TOKENS)
    pixels = side * config.vision.patch_size
    task = Task(
        len(prompt.token_ids) + ANSWER_TOKENS,
        point.kv_bits,
        (pixels, pixels) if side else None,
        ImageSettings(min_pixels=1, max_pixels=pixels**2 or 1),
    )
    plan = estimate(config, task, weight_bytes=weights, precision=precision_for(value_bytes=4))
    # Decoding is the host's: it is measured apart.
    planned = replace(plan, decoding=0).peak_bytes
    return Measured(point, plan, weights, planned, answer.usage.peak_bytes)


def _engine(config: ModelConfig, read_model: Callable[[], Qwen3VL], kv_bits: KvBits | None) -> Engine:
    return Engine(
        read_model=read_model,
        read_processor=GivenPrompts,  # type: ignore[arg-type]  # only these two members are used
        config=replace(config, eos_token_ids=(1,)),
        generation=GenerationSettings(),
        name="grid",
        limits=EngineLimits(kv_bits=kv_bits),
    )


def demo() -> tuple[ModelConfig, Callable[[], Qwen3VL]]:
    """Return the demo checkpoint."""
    from edge.checkpoint import door
    from edge.loading import demo_folder

    checkpoint = door.open(demo_folder(), dtype=mx.float32)
    return checkpoint.config, lambda: checkpoint.read_model(mx.float32).model


def real_width_slice() -> tuple[ModelConfig, Callable[[], Qwen3VL]]:
    """Return two decoder layers and two vision blocks at the widths of the 30B, in 4 bits, random."""
    whole = FAMILY["30B-A3B"]
    vision = replace(whole.vision, depth=3, deepstack_indexes=(0, 1, 2))
    config = replace(whole, text=replace(whole.text, num_layers=2), vision=vision)

    def read_model() -> Qwen3VL:
        packed: dict[str, LayerQuantization] = {}
        for name, choice in recipe_formats(config, "4bit").items():
            if choice.format is not None:
                packed[name.removesuffix(".weight")] = choice.format
        return build_model(config, packed, _random(config, packed))

    return config, read_model


def _random(config: ModelConfig, packed: dict[str, LayerQuantization]) -> Parameters:
    mx.random.seed(0)
    rng = np.random.default_rng(0)
    for name, shape in expected_parameters(config).items():
        setting = packed.get(name.removesuffix(".weight"))
        for target in packed_targets(name, shape, setting) if setting else []:
            if target.stored_as == "U32":
                array = mx.array(rng.integers(0, 2**32, target.shape, dtype=np.uint32))
            else:
                array = mx.random.normal(target.shape) * 0.002
            mx.eval(array)
            yield target.name, array
        if setting is None:
            array = mx.random.normal(shape) * 0.02
            mx.eval(array)
            yield name, array


def tower_line(vision: VisionConfig, side_patches: int) -> str:
    """Look at a square picture with two blocks of a tower; say what was planned and measured beside its weights."""
    config = replace(vision, depth=2, deepstack_indexes=(0, 1))
    tower = VisionTower(config)
    mx.eval(tower.parameters())
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    grid = (1, side_patches, side_patches)
    planned = vision_bytes(config, grid, precision=precision_for(value_bytes=4))
    steps = tower.steps(mx.zeros((side_patches**2, config.patch_values)), [grid])
    with held_to(planned):
        while True:
            try:
                mx.eval(next(steps))
            except StopIteration as end:
                mx.eval(end.value.features, *end.value.deepstack)
                break
    peak = int(mx.get_peak_memory()) - int(before)
    return (
        f"width {config.hidden_size}, picture {side_patches**2} patches: planned {planned / 1e6:.1f} MB, "
        f"measured {peak / 1e6:.1f} MB, ratio {planned / peak:.3f}"
    )


def main(arguments: list[str]) -> None:
    """Print the grid of one model."""
    if arguments[:1] == ["tower"]:
        mx.set_default_device(mx.cpu)
        given = tuple(map(int, arguments[1:]))
        towers = [(FAMILY["30B-A3B"].vision, given or (16, 32, 48))]
        if not given:
            towers.insert(0, (demo()[0].vision, (16, 32, 40, 48)))
        for vision, sides in towers:
            for side in sides:
                print(tower_line(vision, side), flush=True)
        return
    kinds = {"demo": (demo, DEMO_GRID), "slice": (real_width_slice, SLICE_GRID)}
    make, points = kinds[arguments[0] if arguments else "demo"]
    mx.set_default_device(mx.cpu)
    config, read_model = make()
    print(f"{describe_version()}, CPU, float32 activations")
    for found in measure(config, read_model, points):
        print(found.line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
