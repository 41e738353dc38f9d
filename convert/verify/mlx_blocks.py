"""A candidate through this runtime's own model, one block at a time.

Blocks of a folder or a GGUF pair are read when they run and dropped behind it. Placing features and adding DeepStack
levels is the runtime's code too, so its faults show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map

from convert.verify.samples import Sample
from convert.verify.stages import Array, Experts, LayerOutput
from edge.checkpoint.build import empty_model
from edge.checkpoint.folder import Checkpoint, read_parameters
from edge.checkpoint.names.joined import join_names, join_parameters
from edge.checkpoint.names.table import Rule
from edge.checkpoint.pair import GgufPair
from edge.checkpoint.pair_parameters import AddedError
from edge.checkpoint.pair_parameters import read_parameters as read_gguf_parameters
from edge.config import LayerQuantization, ModelConfig
from edge.model import moe
from edge.model.linear import Linear
from edge.model.qwen3vl import Qwen3VL
from edge.model.rope import cos_and_sin, make_rope
from edge.model.text import Decoder
from edge.model.types import Grid, VisionOutput, VisualRows
from edge.model.vision_positions import rotary_angles

_DECODER = "language_model.model"
Read = Callable[[str], Iterable[tuple[str, mx.array]]]


class MlxBlocks:
    """`Blocks` of a model of this runtime."""

    def __init__(self, model: Qwen3VL, *, read: Read, dtype: mx.Dtype) -> None:
        """Wrap a model.

        Args:
            model: Empty.
            read: Gives the model's parameters whose paths begin with a prefix, in `dtype`.
            dtype: Compute type of the blocks.
        """
        self._model = model
        self._config: ModelConfig = model.config
        self._read = read
        self._dtype = dtype
        self._loaded: tuple[str, ...] = ()

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, dtype: mx.Dtype) -> MlxBlocks:
        """Make an empty model (MLX allocates nothing before it is used) that reads a folder one block at a time."""

        def read(prefix: str) -> Iterator[tuple[str, mx.array]]:
            return read_parameters(replace(checkpoint, rules=_rules_of(checkpoint.rules, prefix)), dtype=dtype)

        return cls._reading(checkpoint.config, checkpoint.quantized, read, dtype)

    @classmethod
    def from_gguf(cls, pair: GgufPair, *, dtype: mx.Dtype) -> MlxBlocks:
        """Make an empty model that reads a GGUF pair one block at a time, packed as the runtime packs it."""

        def read(prefix: str) -> Iterator[tuple[str, mx.array]]:
            part = replace(pair, rules=_rules_of(pair.rules, prefix))
            return read_gguf_parameters(part, dtype=dtype, added=AddedError())

        return cls._reading(pair.config, pair.packed_modules(), read, dtype)

    @classmethod
    def _reading(
        cls, config: ModelConfig, packed: Mapping[str, LayerQuantization], read: Read, dtype: mx.Dtype
    ) -> MlxBlocks:
        """Keep packed weights packed on a GPU; unpack them on the CPU, where MLX's packed products are 20 times slower.

        The weights are the same either way, and both products are exact up to rounding.
        """
        keeps_packed = mx.default_device().type == mx.gpu
        joining = join_names(config, packed if keeps_packed else {})

        def read_joined(prefix: str) -> Iterator[tuple[str, mx.array]]:
            parameters = read(prefix) if keeps_packed else _unpacked(read(prefix), packed, dtype)
            return join_parameters(parameters, joining.rules)

        return cls(empty_model(config, joining), read=read_joined, dtype=dtype)

    def start_vision(self, patches: Array, grid: Grid) -> Array:
        """Embed patches and add positions."""
        self._load("vision_tower.patch_embed", "vision_tower.pos_embed")
        tower = self._model.vision_tower
        hidden = tower.patch_embed(mx.array(patches))
        return _to_numpy(hidden + tower.position_embeddings([grid]).astype(hidden.dtype))

    def vision_block(self, index: int, hidden: Array, grid: Grid) -> Array:
        """Run one block of the tower."""
        self._load(f"vision_tower.blocks.{index}")
        cos, sin = cos_and_sin(rotary_angles([grid], self._config.vision)[:, None])
        block = self._model.vision_tower.blocks[index]
        return _to_numpy(block(self._array(hidden), cos=cos, sin=sin, grids=[grid]))

    def merge(self, level: int | None, hidden: Array) -> Array:
        """Run the last merger, or that of a DeepStack level."""
        tower = self._model.vision_tower
        self._load("vision_tower.merger" if level is None else f"vision_tower.deepstack_merger_list.{level}")
        merger = tower.merger if level is None else tower.deepstack_merger_list[level]
        return _to_numpy(merger(self._array(hidden)))

    def embed(self, sample: Sample, features: Array | None) -> Array:
        """Look up tokens and put the visual features in their rows."""
        self._load(f"{_DECODER}.embed_tokens", f"{_DECODER}.norm")
        visual = None if features is None else self._visual(sample, features, ())
        return _to_numpy(self._model.language_model.model.embed(mx.array(sample.prompt.token_ids[None]), visual)[0])

    def layer(self, index: int, hidden: Array, sample: Sample, level: Array | None) -> LayerOutput:
        """Run the decoder with one layer, and the one DeepStack level behind it."""
        self._load(f"{_DECODER}.layers.{index}")
        layer = self._model.language_model.model.layers[index]
        text = self._config.text
        rope = make_rope(sample.prompt.positions[:, None], config=text.rope, head_dim=text.head_dim)
        visual = None if level is None else self._visual(sample, level, (level,))
        one_layer = cast(Decoder, SimpleNamespace(layers=[layer]))
        with _RecordedGate(layer) as gate:
            output = Decoder.__call__(
                one_layer,
                self._array(hidden)[None],
                rope=rope,
                memory=None,
                visual=visual,
            )
            return LayerOutput(_to_numpy(output[0]), gate.experts())

    def choose_experts(self, index: int, router_input: Array) -> Experts:
        """Run a layer's router alone."""
        self._load(f"{_DECODER}.layers.{index}")
        block = self._model.language_model.model.layers[index].mlp
        return _chosen(block.gate(self._array(router_input)), block.moe.experts_per_token)

    def probe_experts(self, index: int, rows: Array) -> Array:
        """Send rows through every expert of a layer."""
        self._load(f"{_DECODER}.layers.{index}")
        block = self._model.language_model.model.layers[index].mlp
        num_experts = block.moe.num_experts
        chosen = mx.array(np.repeat(np.arange(num_experts, dtype=np.uint32), len(rows))[:, None, None])
        outputs = block.switch_mlp(mx.tile(self._array(rows)[:, None], (num_experts, 1, 1)), chosen)
        return _to_numpy(outputs.reshape(num_experts, len(rows), -1))

    def logits(self, hidden: Array) -> Array:
        """Normalise rows and project them to the vocabulary."""
        head = f"{_DECODER}.embed_tokens" if self._config.tie_word_embeddings else "language_model.lm_head"
        self._load(head, f"{_DECODER}.norm")
        return _to_numpy(self._model.language_model.logits(self._array(hidden)[None])[0])

    def embedding_rows(self, token_ids: Sequence[int]) -> Array:
        """Look up tokens, unpacked: (R, D)."""
        self._load(f"{_DECODER}.embed_tokens", f"{_DECODER}.norm")
        return _to_numpy(self._model.language_model.model.embed_tokens(mx.array(list(token_ids))))

    def final_norm(self) -> Array:
        """Return the weights of the last norm."""
        self._load(f"{_DECODER}.embed_tokens", f"{_DECODER}.norm")
        return _to_numpy(self._model.language_model.model.norm.weight)

    def release(self) -> None:
        """Drop the parameters that were read for the last block."""
        for path in self._loaded:
            module = self._module(path)
            module.update(tree_map(lambda array: mx.zeros(array.shape, array.dtype), module.parameters()))
        self._loaded = ()
        mx.clear_cache()

    def _load(self, *paths: str) -> None:
        if self._loaded == paths:
            return
        self.release()
        for path in paths:
            prefix = f"{path}."
            own = [(name.removeprefix(prefix), array) for name, array in self._read(prefix)]
            self._module(path).load_weights(own, strict=True)
        self._loaded = paths

    def _module(self, path: str) -> nn.Module:
        found: Any = self._model  # Any: lists and modules by turns
        for key in path.split("."):
            found = found[int(key)] if key.isdigit() else found[key]
        assert isinstance(found, nn.Module), f"{path} is no module"
        return found

    def _array(self, array: Array) -> mx.array:
        return mx.array(array).astype(self._dtype)

    def _visual(self, sample: Sample, features: Array, levels: Sequence[Array]) -> VisualRows:
        output = VisionOutput(self._array(features), tuple(self._array(level) for level in levels))
        return VisualRows(mx.array(sample.visual_rows.astype(np.int32)), output)


class _RecordedGate:
    """Listen to a layer's router while it runs."""

    def __init__(self, layer: nn.Module) -> None:
        self._block = layer.mlp if isinstance(layer.mlp, moe.SparseBlock) else None
        self._logits: list[mx.array] = []

    def __enter__(self) -> _RecordedGate:
        if self._block is not None:
            self._gate = self._block.gate
            self._block.gate = cast(Linear, _Listener(self._gate, self._logits))
        return self

    def __exit__(self, *_error: object) -> None:
        if self._block is not None:
            self._block.gate = self._gate

    def experts(self) -> Experts | None:
        """Return the chosen experts (L, A), sorted in each row."""
        if self._block is None:
            return None
        return _chosen(self._logits[0].flatten(0, -2), self._block.moe.experts_per_token)


class _Listener(nn.Module):
    def __init__(self, inner: nn.Module, heard: list[mx.array]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # mlx.nn has no annotations
        self.inner = inner
        self._heard = _Box(heard)

    def __call__(self, rows: mx.array) -> mx.array:
        logits: mx.array = self.inner(rows)
        self._heard.items.append(logits)
        return logits


class _Box:
    """Keep a list out of MLX's hands, which would take it for submodules."""

    def __init__(self, items: list[mx.array]) -> None:
        self.items = items


def _to_numpy(array: mx.array) -> Array:
    return np.array(array.astype(mx.float32))


def _chosen(logits: mx.array, experts_per_token: int) -> Experts:
    experts, _ = moe.route(logits, experts_per_token)
    return np.sort(np.array(experts).astype(np.int32), axis=-1)


def _unpacked(
    parameters: Iterable[tuple[str, mx.array]], packed: Mapping[str, LayerQuantization], dtype: mx.Dtype
) -> Iterator[tuple[str, mx.array]]:
    """Turn packed weights with their scales into floats; everything else passes through."""
    parts: dict[str, dict[str, mx.array]] = {}
    for name, array in parameters:
        module, _, part = name.rpartition(".")
        if module in packed:
            parts.setdefault(module, {})[part] = array
        else:
            yield name, array
    for module, arrays in parts.items():
        setting = packed[module]
        weight = mx.dequantize(
            arrays["weight"],
            arrays["scales"],
            arrays.get("biases"),
            group_size=setting.group_size,
            bits=setting.bits,
            mode=setting.mode,
        ).astype(dtype)
        mx.eval(weight)
        yield f"{module}.weight", weight
        if "bias" in arrays:
            yield f"{module}.bias", arrays["bias"]


def _rules_of(rules: Sequence[Rule], prefix: str) -> tuple[Rule, ...]:
    """Return the rules that fill a block; a rule never fills parts of two."""
    return tuple(rule for rule in rules if rule.targets[0].name.startswith(prefix))
