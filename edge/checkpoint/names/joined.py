"""Join parameters that files keep apart: queries, keys and values; gate and up; the norms of query and key heads.

In: parameters under their published paths, as every table of this package gives them. Out: those of the model's
modules. Parts that are stored alike become one matrix; each run of like parts becomes a matrix of its own where they
are not. A rule waits for its parts only, so beside the model there is one joined matrix in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import mlx.core as mx

from edge.checkpoint.names.hub import expected_parameters, packed_targets
from edge.checkpoint.names.ops import Join, Op, Shape, Split, Spread
from edge.checkpoint.names.table import Rule, Target
from edge.config import LayerQuantization, ModelConfig
from edge.records import dataclass

# the model's projection in a decoder layer -> the parts that files keep, in the order of their outputs
JOINED = {
    "self_attn.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "mlp.gate_up_proj": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.switch_mlp.gate_up_proj": ("mlp.switch_mlp.gate_proj", "mlp.switch_mlp.up_proj"),
}
NORMS = ("self_attn.q_norm.weight", "self_attn.k_norm.weight")
JOINED_NORM = "self_attn.qk_norm_halves"


@dataclass(frozen=True, slots=True)
class Joining:
    """How published parameters become those of the model.

    Attributes:
        rules: For all parameters that change their path; the others keep theirs.
        packed: Path of a module of the model -> how its weight is packed.
        parts: Path of a projection that stays in several matrices -> outputs of each.
    """

    rules: tuple[Rule, ...]
    packed: Mapping[str, LayerQuantization]
    parts: Mapping[str, tuple[int, ...]]


def join_names(config: ModelConfig, packed: Mapping[str, LayerQuantization]) -> Joining:
    """Decide what is joined.

    Args:
        config: The checkpoint.
        packed: Published module path -> how its weight is packed; modules not named hold floats.
    """
    shapes = expected_parameters(config)
    rules: list[Rule] = []
    forms, parts = dict(packed), dict[str, tuple[int, ...]]()
    for layer_index in range(config.text.num_layers):
        layer = f"language_model.model.layers.{layer_index}"
        rules.append(_norm_rule(config, layer))
        for joined, names in JOINED.items():
            modules = [f"{layer}.{name}" for name in names]
            if f"{modules[0]}.weight" not in shapes:
                continue
            runs = [(form, list(run)) for form, run in groupby(modules, key=packed.get)]
            path = f"{layer}.{joined}"
            if len(runs) > 1:
                parts[path] = tuple(sum(shapes[f"{name}.weight"][-2] for name in run) for _, run in runs)
            for index, (form, run) in enumerate(runs):
                place = path if len(runs) == 1 else f"{path}.parts.{index}"
                rules += _join_rules(place, {name: shapes[f"{name}.weight"] for name in run}, form)
                for name in run:
                    forms.pop(name, None)
                if form is not None:
                    forms[place] = form
    return Joining(tuple(rules), forms, parts)


def join_parameters(
    parameters: Iterable[tuple[str, mx.array]], rules: Sequence[Rule]
) -> Iterator[tuple[str, mx.array]]:
    """Turn published parameters into the model's, evaluated; those without a rule pass through."""
    by_source = {source: rule for rule in rules for source in rule.sources}
    waiting: dict[str, mx.array] = {}
    for name, array in parameters:
        if name not in by_source:
            yield name, array
            continue
        rule, waiting[name] = by_source[name], array
        del array  # or the last part would stay while the next tensor is read
        if all(source in waiting for source in rule.sources):
            targets = rule.apply([waiting.pop(source) for source in rule.sources])
            mx.eval(list(targets.values()))
            yield from targets.items()


def _join_rules(place: str, parts: Mapping[str, Shape], form: LayerQuantization | None) -> Iterator[Rule]:
    """Yield one rule for each array of a matrix: the weight, and scales and biases where it is packed."""
    stored = [
        [Target(f"{name}.weight", shape)] if form is None else packed_targets(f"{name}.weight", shape, form)
        for name, shape in parts.items()
    ]
    for arrays in zip(*stored, strict=True):
        sizes = tuple(target.shape[-2] for target in arrays)
        *lead, _, width = arrays[0].shape
        suffix = arrays[0].name.rpartition(".")[2]
        target = Target(f"{place}.{suffix}", (*lead, sum(sizes), width), arrays[0].stored_as)
        ops: tuple[Op, ...] = (Join(axis=-2, sizes=sizes),) if len(sizes) > 1 else ()
        yield Rule(tuple(part.name for part in arrays), (target,), ops)


def _norm_rule(config: ModelConfig, layer: str) -> Rule:
    counts = (config.text.num_heads, 2 * config.text.num_kv_heads)  # the values' rows are not used
    shape = (sum(counts), 1, 1, config.text.head_dim // 2)
    halves = tuple(Target(f"{layer}.{JOINED_NORM}.{index}", shape) for index in (0, 1))
    ops = (Spread(counts, unit_axes=2), Join(axis=0, sizes=counts), Split(axis=-1))
    return Rule(tuple(f"{layer}.{name}" for name in NORMS), halves, ops)
