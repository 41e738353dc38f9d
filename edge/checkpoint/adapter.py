"""Read a LoRA adapter as peft saves it, and merge it into the rules of a checkpoint.

In: a folder with `adapter_config.json` and `adapter_model.safetensors`, and the rules of the model it belongs to.
Out: rules whose last operation adds the adapter's updates. Every stored tensor is used, or the adapter is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from pathlib import Path

import mlx.core as mx

from edge.checkpoint.adapter_config import CONFIG_NAME, AdapterConfig, read_adapter_config
from edge.checkpoint.files.shards import SafetensorsFile
from edge.checkpoint.names.hub import PATCH_EMBED, expected_parameters, hub_name
from edge.checkpoint.names.merge import MakeUpdate, Merge
from edge.checkpoint.names.ops import Op, Shape
from edge.checkpoint.names.table import Rule, summarize_names
from edge.config import ModelConfig
from edge.errors import SpoiledError, WeightError
from edge.records import dataclass

WEIGHTS_NAME = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_MATRIX = re.compile(r"(?P<module>.+?)\.lora_(?P<kind>embedding_)?(?P<side>[AB])(\.[^.]+)?(\.weight)?")
_EXPERTS = re.compile(r"(?P<layer>model\.language_model\.layers\.\d+\.mlp)\.experts")
_PARTS_OF_COPY = re.compile(r"\.(modules_to_save\.[^.]+|original_module|base_layer)(?=\.)")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter whose files were opened; no matrix is read yet."""

    folder: Path
    config: AdapterConfig
    file: SafetensorsFile

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that belong to the identity of what is merged."""
        return self.config.path, self.file.path


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two matrices of one update: names in the file, by side."""

    module: str
    is_embedding: bool
    sides: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Updates:
    """What is added to, or put in the place of, parameters by name."""

    added: dict[str, MakeUpdate] = field(default_factory=dict)
    replaced: dict[str, MakeUpdate] = field(default_factory=dict)


def open_adapter(folder: Path) -> Adapter:
    """Open an adapter's files.

    Raises:
        ConfigError: Its configuration is missing, or asks for something that cannot be merged.
        WeightError: Its weights are missing or broken.
    """
    config = read_adapter_config(folder / CONFIG_NAME)
    path = folder / WEIGHTS_NAME
    if not path.exists() and (pickles := sorted(folder.glob("adapter_model.*"))):
        raise WeightError(
            f"{folder}: expected {WEIGHTS_NAME}, found {pickles[0].name}; pickle files can run code when opened and "
            "are never read here. Save the adapter again with safetensors."
        )
    return Adapter(folder, config, SafetensorsFile(path))


def merge_adapter(
    rules: Sequence[Rule], config: ModelConfig, adapter: Adapter, *, packed: Mapping[str, object]
) -> tuple[Rule, ...]:
    """Return rules that give merged parameters.

    Args:
        rules: Of the checkpoint.
        config: Of the checkpoint.
        adapter: What is merged into it.
        packed: Module path -> form of weights that are stored packed.

    Raises:
        WeightError: A tensor of the adapter has no place in this model, or its place is packed.
    """
    updates = _find_updates(adapter, config)
    names = {*updates.added, *updates.replaced}
    if blocked := sorted(name for name in names if name.removesuffix(".weight") in packed):
        raise WeightError(
            f"{adapter.folder}: {blocked[0]} is packed in this checkpoint, so that the adapter cannot be merged "
            "without loss. Merge into the bf16 or FP8 checkpoint: give that one, or convert it with --adapter."
        )
    merged = []
    for rule in rules:
        ops: list[Op] = list(rule.ops)
        for table, replaces in ((updates.replaced, True), (updates.added, False)):
            makers = tuple(table.get(target.name) for target in rule.targets)
            if any(makers):
                ops.append(Merge(makers, replaces))
        merged.append(replace(rule, ops=tuple(ops)) if len(ops) > len(rule.ops) else rule)
    return tuple(merged)


def _find_updates(adapter: Adapter, config: ModelConfig) -> _Updates:
    shapes = expected_parameters(config)
    places = {hub_name(name): name for name in shapes if ".switch_mlp." not in name}
    pairs: dict[tuple[str, bool], _Pair] = {}
    updates, foreign = _Updates(), []
    for name, info in adapter.file.tensors.items():
        path = name.removeprefix(_PREFIX)
        match = _MATRIX.fullmatch(path)
        if match is not None and not path.endswith(".bias"):
            key = match["module"], match["kind"] is not None
            pairs.setdefault(key, _Pair(*key)).sides[match["side"]] = name
            continue
        target = places.get(_PARTS_OF_COPY.sub("", path))
        if target is None or target == PATCH_EMBED or info.shape != shapes[target]:
            foreign.append(name)
        else:
            updates.replaced[target] = partial(_read, adapter, name)
    if foreign:
        raise WeightError(
            f"{adapter.folder}: the adapter holds what has no place in this model: {summarize_names(foreign)}. "
            "Choose the model it was trained on, or merge it with peft."
        )
    for pair in pairs.values():
        _add_pair(updates, adapter, pair, places, shapes)
    if not updates.added and not updates.replaced:
        raise WeightError(f"{adapter.folder}: the adapter holds no tensors. Save it again.")
    _check_tied(adapter, config, {*updates.added, *updates.replaced})
    return updates


def _check_tied(adapter: Adapter, config: ModelConfig, names: set[str]) -> None:
    tied = [name for name in names if name.endswith((".lm_head.weight", ".embed_tokens.weight"))]
    if config.tie_word_embeddings and tied:
        raise WeightError(
            f"{adapter.folder}: the adapter changes {tied[0]}, whose table this model uses twice (tied embeddings); "
            "merged, it would change both. Merge it with peft into a model with its own head."
        )


def _add_pair(
    updates: _Updates, adapter: Adapter, pair: _Pair, places: Mapping[str, str], shapes: Mapping[str, Shape]
) -> None:
    if len(pair.sides) != 2:
        raise WeightError(f"{adapter.folder}: {pair.module} has only one of its two matrices. Save the adapter again.")
    module = pair.module
    while module.endswith(".base_layer"):  # the inner one of two updates of one module
        module = module.removesuffix(".base_layer")
    first, second = (adapter.file.tensors[pair.sides[side]].shape for side in "AB")
    experts = _EXPERTS.fullmatch(module)
    if experts is not None:
        _add_experts(updates, adapter, pair, experts["layer"], shapes)
        return
    target = places.get(f"{module}.weight")
    rank = adapter.config.rank_of(module)
    wanted: tuple[Shape, Shape] | None = None
    if target is not None and pair.is_embedding:
        rows, columns = shapes[target]
        wanted = (rank, rows), (columns, rank)
    elif target == PATCH_EMBED:
        outputs, *kernel, channels = shapes[target]
        wanted = (rank, channels, *kernel), (outputs, rank, *(1 for _ in kernel))
    elif target is not None and len(shapes[target]) == 2:
        outputs, inputs = shapes[target]
        wanted = (rank, inputs), (outputs, rank)
    if target is None or (first, second) != wanted:
        raise WeightError(
            f"{adapter.folder}: the update of {module} has shapes {list(first)} and {list(second)}, expected "
            f"{'no such module' if wanted is None else ' and '.join(str(list(shape)) for shape in wanted)}. "
            "Choose the model it was trained on."
        )
    kind = "embedding" if pair.is_embedding else "patches" if target == PATCH_EMBED else "linear"
    updates.added[target] = partial(_make_update, adapter, pair, kind, adapter.config.scale_of(module))


def _make_update(adapter: Adapter, pair: _Pair, kind: str, scale: float) -> mx.array:
    first, second = (_read(adapter, pair.sides[side]) for side in "AB")
    if kind == "embedding":
        return (second @ first).T * scale
    if kind == "linear":
        return (second @ first) * scale
    flat = second.reshape(second.shape[0], -1) @ first.reshape(first.shape[0], -1)
    return flat.reshape(second.shape[0], *first.shape[1:]).transpose(0, 2, 3, 4, 1) * scale  # (O, T, H, W, C)


def _add_experts(updates: _Updates, adapter: Adapter, pair: _Pair, layer: str, shapes: Mapping[str, Shape]) -> None:
    """Find out by their sizes which of the two stacks an update belongs to, and how that stack lay in training.

    peft stacks the experts' matrices: A is (experts * rank, inputs), B is (outputs, rank * experts). Older
    transformers keep the stacks transposed, so that inputs and outputs change places.
    """
    ours = layer.replace("model.language_model.", "language_model.model.") + ".switch_mlp"
    gate = shapes.get(f"{ours}.gate_proj.weight")
    module = f"{layer}.experts"
    first, second = (adapter.file.tensors[pair.sides[side]].shape for side in "AB")
    if gate is None or len(first) != 2 or len(second) != 2:
        raise WeightError(f"{adapter.folder}: {module} is no part of this model. Choose the one it was trained on.")
    num_experts, inner, hidden = gate
    stacks = {"gate_up": (hidden, 2 * inner), "down": (inner, hidden)}
    fitting = [
        (stack, is_swapped)
        for stack, sizes in stacks.items()
        for is_swapped in (False, True)
        if (first[1], second[0]) == (sizes[::-1] if is_swapped else sizes)
    ]
    rank = adapter.config.rank_of(module)
    if len(fitting) != 1 or first[0] != num_experts * rank or second[1] != first[0]:
        problem = "fit both orders of the axes" if len(fitting) > 1 else "do not fit"
        raise WeightError(
            f"{adapter.folder}: the shapes {list(first)} and {list(second)} of {module} {problem} with rank {rank} and "
            f"{num_experts} experts of {hidden} and {inner}. Merge the adapter with peft."
        )
    stack, is_swapped = fitting[0]
    make = partial(_make_experts, adapter, pair, num_experts, adapter.config.scale_of(module), is_swapped)
    names = (
        [f"{ours}.down_proj.weight"] if stack == "down" else [f"{ours}.{name}_proj.weight" for name in ("gate", "up")]
    )
    for index, name in enumerate(names):
        if name in updates.added:
            raise WeightError(f"{adapter.folder}: {module} holds two updates of {name}. Save the adapter again.")
        updates.added[name] = partial(make, index, len(names))


def _make_experts(
    adapter: Adapter, pair: _Pair, num_experts: int, scale: float, is_swapped: bool, part: int, num_parts: int
) -> mx.array:
    """Multiply expert by expert, (E, outputs, inputs); `part` of the outputs where gate and up are stacked."""
    first, second = (_read(adapter, pair.sides[side]) for side in "AB")
    first = first.reshape(num_experts, -1, first.shape[-1])  # (E, rank, inputs)
    second = second.reshape(second.shape[0], -1, num_experts).transpose(2, 0, 1)  # (E, outputs, rank)
    if is_swapped:
        first, second = second.transpose(0, 2, 1), first.transpose(0, 2, 1)
    size = second.shape[1] // num_parts
    return (second[:, part * size : (part + 1) * size] @ first) * scale


def _read(adapter: Adapter, name: str) -> mx.array:
    array = adapter.file.read(name)
    if not mx.issubdtype(array.dtype, mx.floating):
        raise WeightError(f"{adapter.file.path}: {name} is no float. Save the adapter again.")
    array = array.astype(mx.float32)
    if not bool(mx.isfinite(array).all().item()):
        raise SpoiledError(f"{adapter.file.path}: {name} holds values that are infinite or no number. Save it again.")
    return array
