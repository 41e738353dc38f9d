"""Load a model folder: hub, transformers 5, FP8 hub, MLX, MLX quantized.

In: a folder with `config.json` and safetensors shards. Out: the configuration and the model with every
parameter filled exactly once. `open_checkpoint` stops before the first tensor is read; converters start there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx

from edge.checkpoint.adapter_config import CONFIG_NAME as ADAPTER_CONFIG
from edge.checkpoint.build import build_model, num_model_bytes
from edge.checkpoint.files.shards import TensorSource, open_folder
from edge.checkpoint.names.hub import (
    FP8_DTYPE,
    LM_HEAD,
    HubLayout,
    Layout,
    expected_parameters,
    hub_name,
    hub_table,
    mlx_table,
)
from edge.checkpoint.names.table import Match, Rule, Table, describe_match, summarize_names
from edge.config import LayerQuantization, ModelConfig
from edge.config_json import model_config_from_file
from edge.errors import ConfigError, WeightError
from edge.records import dataclass

if TYPE_CHECKING:
    from edge.checkpoint.adapter import Adapter
    from edge.model.qwen3vl import Qwen3VL

_LOG = logging.getLogger(__name__)
_MLX_PREFIXES = ("language_model.", "vision_tower.")
_HUB_PREFIXES = ("model.language_model.", "model.visual.", "lm_head.")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder whose tensors were checked against its configuration; nothing is read yet.

    Attributes:
        config: The configuration; `tie_word_embeddings` is False where `lm_head.weight` is stored.
        source: The stored tensors.
        layout: How the folder names and orders them.
        rules: How they become parameters.
        quantized: Module path -> packing, for the packed modules of an MLX folder.
        dropped: Stored tensors that are left out, with reasons.
        adapter: What the rules merge into the stored tensors.
    """

    config: ModelConfig
    source: TensorSource
    layout: Layout
    rules: tuple[Rule, ...]
    quantized: Mapping[str, LayerQuantization]
    dropped: Mapping[str, str]
    adapter: Adapter | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide the weights."""
        adapter = () if self.adapter is None else self.adapter.files
        return (self.source.folder / "config.json", *(file.path for file in self.source.files), *adapter)

    def weight_bytes(self, *, itemsize: int) -> int:
        """Count the bytes of all parameters in memory when floats have `itemsize` bytes."""
        sizes = {"float": itemsize, "U32": 4, "U8": 1}
        targets = (target for rule in self.rules for target in rule.targets)
        return sum(prod(target.shape) * sizes[target.stored_as] for target in targets)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run, and where it came from.

    Attributes:
        config: Its configuration.
        model: All parameters filled and in memory.
        folder: The folder or file it was read from.
        layout: How the weights were stored.
        dtype: The compute type of all floats.
        num_bytes: Bytes of all parameters in memory.
    """

    config: ModelConfig
    model: Qwen3VL
    folder: Path
    layout: str
    dtype: mx.Dtype
    num_bytes: int


def load_folder(folder: Path, *, dtype: mx.Dtype | None = None) -> LoadedModel:
    """Load a model folder.

    Args:
        folder: Holds `config.json` and safetensors shards.
        dtype: Compute type that floats are cast to; by default bfloat16 on a GPU and float32 on the CPU.

    Raises:
        ConfigError: No usable `config.json`.
        WeightError: Shards are missing or broken, or do not fit the configuration.
    """
    compute_dtype = dtype or default_dtype()
    return load_checkpoint(open_checkpoint(folder, dtype=compute_dtype), dtype=compute_dtype)


def load_checkpoint(checkpoint: Checkpoint, *, dtype: mx.Dtype) -> LoadedModel:
    """Load what was opened; arguments and errors as for `load_folder`."""
    compute_dtype = dtype
    parameters = read_parameters(checkpoint, dtype=compute_dtype)
    model = build_model(checkpoint.config, checkpoint.quantized, parameters)
    return LoadedModel(
        config=checkpoint.config,
        model=model,
        folder=checkpoint.source.folder,
        layout=checkpoint.layout,
        dtype=compute_dtype,
        num_bytes=num_model_bytes(model),
    )


def default_dtype() -> mx.Dtype:
    """Return bfloat16 on a GPU and float32 on the CPU, where half types are slow and imprecise."""
    return mx.bfloat16 if mx.default_device().type == mx.gpu else mx.float32


def open_checkpoint(folder: Path, *, dtype: mx.Dtype = mx.float32, adapter: Path | None = None) -> Checkpoint:
    """Check a folder's configuration and tensors against each other without reading a tensor.

    Args:
        folder: Holds `config.json` and safetensors shards.
        dtype: What FP8 weights are decoded to.
        adapter: Folder of a LoRA adapter to merge; None takes the one that lies in the model's folder, if any.

    Raises:
        ConfigError: No usable `config.json`, or two adapters.
        WeightError: Shards are missing or broken, or do not fit the configuration, or the adapter does not.
    """
    _check_is_folder(folder)
    config = model_config_from_file(folder / "config.json")
    source = open_folder(folder)
    if source.unlisted:
        _LOG.info("%s: not in the index and not used: %s", folder, ", ".join(source.unlisted))
    is_mlx = _is_mlx(source, folder)
    head = LM_HEAD if is_mlx else hub_name(LM_HEAD)
    if head in source.tensors:
        config = replace(config, tie_word_embeddings=False)  # a stored head wins, tied or not
    checkpoint = _match_mlx(config, source) if is_mlx else _match_hub(config, source, dtype)
    return _with_adapter(checkpoint, adapter)


def _with_adapter(checkpoint: Checkpoint, folder: Path | None) -> Checkpoint:
    own = checkpoint.source.folder / ADAPTER_CONFIG
    if own.exists() and folder is not None and folder.resolve() != own.parent.resolve():
        raise ConfigError(f"{folder}: {own} is an adapter already, one is applied at a time. Move one of them away.")
    if folder is None and not own.exists():
        return checkpoint
    from edge.checkpoint.adapter import merge_adapter, open_adapter  # late: few folders have one

    adapter = open_adapter(folder or own.parent)
    rules = merge_adapter(checkpoint.rules, checkpoint.config, adapter, packed=checkpoint.quantized)
    _LOG.info("%s: the adapter is merged while reading", adapter.folder)
    return replace(checkpoint, rules=rules, adapter=adapter)


def read_parameters(checkpoint: Checkpoint, *, dtype: mx.Dtype) -> Iterator[tuple[str, mx.array]]:
    """Read parameters one rule at a time, evaluated; floats are cast to `dtype`, packed words stay.

    Memory holds what the caller keeps, plus the source and the targets of one rule.
    """
    for rule in checkpoint.rules:
        stored_as = {target.name: target.stored_as for target in rule.targets}
        targets = rule.apply([checkpoint.source.read(name) for name in rule.sources])
        for name, array in targets.items():
            targets[name] = array.astype(dtype) if stored_as[name] == "float" else array
        mx.eval(list(targets.values()))
        if rule.ops:
            mx.clear_cache()  # the buffers of large sources would stay with MLX's allocator
        yield from targets.items()


def _check_is_folder(folder: Path) -> None:
    if not folder.exists():
        raise ConfigError(f"{folder}: no such folder. Give a model folder, or a hub id such as org/name.")
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a model folder, found a file. Give the folder that holds config.json.")
    if not (folder / "config.json").exists():
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
        raise ConfigError(f"{folder}: expected config.json in the model folder, found {found}. Choose a model folder.")


def _is_mlx(source: TensorSource, folder: Path) -> bool:
    """Tell MLX from hub by the prefixes of the names."""
    num_mlx = sum(name.startswith(_MLX_PREFIXES) for name in source)
    num_hub = sum(name.startswith(_HUB_PREFIXES) for name in source)
    if not num_mlx and not num_hub:
        raise WeightError(
            f"{folder}: expected Qwen3-VL tensors (model.language_model..., or language_model... and vision_tower...), "
            f"found {summarize_names(tuple(source), limit=3)}. Choose a Qwen3-VL folder."
        )
    return num_mlx > num_hub


def _match_hub(config: ModelConfig, source: TensorSource, dtype: mx.Dtype) -> Checkpoint:
    if config.quantization is not None:
        raise WeightError(
            f"{source.folder}: config.json says MLX {config.quantization.default.bits}-bit weights, the shards hold "
            "tensors with hub names. Take config.json and weights from the same folder."
        )
    fp8_names = [name for name, info in source.tensors.items() if info.dtype == FP8_DTYPE]
    if fp8_names and config.fp8 is None:
        raise WeightError(
            f"{source.folder}: {fp8_names[0]} is stored as {FP8_DTYPE}, config.json has no fp8 quantization_config "
            "with the block size. Take config.json and weights from the same folder."
        )
    # The version proposes. The two orders can never both fit (2I = H makes I differ from H), so shapes settle it.
    proposed = _proposed_layout(config)
    first_match: Match | None = None
    for layout in (proposed, _other(proposed)):
        table = hub_table(config, layout, fp8_names=fp8_names, dtype=dtype)
        match = table.match(source.tensors)
        if match.fits:
            if layout != proposed:
                _LOG.info("%s: experts are stored in the %s order", source.folder, layout)
            return Checkpoint(config, source, layout, table.rules, {}, match.dropped)
        first_match = first_match or match
    assert first_match is not None, "two layouts were tried"
    raise WeightError(_explain(config, source, first_match))


def _proposed_layout(config: ModelConfig) -> HubLayout:
    version = (config.transformers_version or "").split(".")[0]
    return "transformers5" if version.isdecimal() and int(version) >= 5 else "hub"


def _other(layout: HubLayout) -> HubLayout:
    return "hub" if layout == "transformers5" else "transformers5"


def _match_mlx(config: ModelConfig, source: TensorSource) -> Checkpoint:
    quantized = _packed_modules(config, source)
    table: Table = mlx_table(config, quantized)
    match = table.match(source.tensors)
    if not match.fits:
        raise WeightError(_explain(config, source, match))
    return Checkpoint(config, source, "mlx", table.rules, quantized, match.dropped)


def _packed_modules(config: ModelConfig, source: TensorSource) -> dict[str, LayerQuantization]:
    """Find which modules are packed: those with scales, as the configuration says."""
    with_scales = {name.removesuffix(".scales") for name in source if name.endswith(".scales")}
    if not with_scales and config.quantization is None:
        return {}
    if config.quantization is None:
        raise WeightError(
            f"{source.folder}: the shards hold packed weights ({min(with_scales)}.scales), config.json has no "
            "quantization with bits and group size. Take config.json and weights from the same folder."
        )
    packed: dict[str, LayerQuantization] = {}
    for name in expected_parameters(config):
        module = name.removesuffix(".weight")
        setting, is_listed = config.quantization.of(module), module in config.quantization.layers
        if module in with_scales and setting is None:
            raise WeightError(
                f"{source.folder}: config.json says {module} is not quantized, the shards hold {module}.scales. "
                "Take config.json and weights from the same folder."
            )
        if setting is not None and (module in with_scales or is_listed):
            packed[module] = setting
    return packed


def _explain(config: ModelConfig, source: TensorSource, match: Match) -> str:
    """Say why a folder does not fit; a missing shard or a missing vision part comes first."""
    if match.missing and source.index_missing:
        num_missing = len(source.index_missing)
        names = ", ".join(source.index_missing[:3]) + (", ..." if num_missing > 3 else "")
        verb, them = ("is", "it") if num_missing == 1 else ("are", "them")
        return (
            f"{source.folder}: model.safetensors.index.json lists {source.index_total} shards, {num_missing} {verb} "
            f"missing: {names}. Without {them} the model lacks {summarize_names(match.missing, limit=2)}. "
            f"Download {them} again."
        )
    vision = [name for name in match.missing if "visual." in name or name.startswith("vision_tower.")]
    all_vision = [name for name in expected_parameters(config) if name.startswith("vision_tower.")]
    if len(vision) == len(all_vision):
        return (
            f"{source.folder}: the vision part is missing, expected {summarize_names(vision, limit=30)}. "
            "Choose a folder that was converted with its vision tower."
        )
    return f"{source.folder}: {describe_match(match)}"
