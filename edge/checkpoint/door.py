"""Open any checkpoint: a folder, a GGUF model, a hub id or an entry of the hub's cache.

In: what a user calls a model. Out: a `Checkpoint`: configuration and generation settings at once, tensors checked by
name and shape, the model and the parts of its prompts when they are asked for. Everything is opened and matched once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import mlx.core as mx

from edge.checkpoint import folder as folders
from edge.checkpoint.adapter_config import CONFIG_NAME as ADAPTER_CONFIG
from edge.checkpoint.adapter_config import read_adapter_config
from edge.checkpoint.build import check_runs_in
from edge.checkpoint.files.hub import resolve_model
from edge.checkpoint.folder import LoadedModel, default_dtype, load_checkpoint
from edge.checkpoint.opened import Checkpoint
from edge.config import LayerQuantization, ModelConfig
from edge.errors import ConfigError
from edge.records import dataclass
from edge.settings import read_generation_settings

if TYPE_CHECKING:
    from edge.prompt.processor import Processor

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FolderCheckpoint(Checkpoint):
    """A model folder with safetensors."""

    stored: folders.Checkpoint

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide the weights, an adapter's included."""
        return self.stored.files

    @property
    def packed(self) -> Mapping[str, LayerQuantization]:
        """Module path -> how its weight is packed."""
        return self.stored.quantized

    def weight_bytes(self, *, itemsize: int) -> int:
        """Count the bytes of all parameters in memory when floats have `itemsize` bytes."""
        return self.stored.weight_bytes(itemsize=itemsize)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Read a stored tensor, or rows of its first axis, as it is stored (without an adapter)."""
        return self.stored.source.read(name, start, stop)

    def read_model(self, dtype: mx.Dtype) -> LoadedModel:
        """Read all parameters; floats become `dtype`."""
        return load_checkpoint(self.stored, dtype=dtype)

    def with_config(self, config: ModelConfig) -> Self:
        """Return the same folder with another configuration of equal tensors."""
        return replace(self, config=config, stored=replace(self.stored, config=config))

    def _read_processor(self) -> Processor:
        from edge.prompt.processor import Processor

        return Processor.from_folder(self.path, self.config)


def open(
    model: str | Path,
    *,
    projector: str | Path | None = None,
    adapter: str | Path | None = None,
    dtype: mx.Dtype | None = None,
    revision: str | None = None,
) -> Checkpoint:
    """Open a checkpoint.

    Args:
        model: A model folder, a GGUF file (of any name) or folder, an entry of the hub's cache, or a hub id such as
            org/name or org/name-GGUF:Q4_K_M. A folder that holds only an adapter stands for its base model with it.
        projector: The vision file of a GGUF model; None looks beside it.
        adapter: Folder (or hub id) of a LoRA adapter to merge; None takes the one in the model's folder, if any.
        dtype: What weights are computed in; by default bfloat16 on a GPU and float32 on the CPU.
        revision: Branch, tag or commit of a hub id.

    Raises:
        ConfigError: No such model, or one that is not supported.
        WeightError: Its files are missing, broken, or of another model.
    """
    path = resolve_model(model, revision=revision)
    compute_dtype = dtype or default_dtype()
    adapter_path = None if adapter is None else resolve_model(adapter)
    if adapter_path is None and not (path / "config.json").exists() and (path / ADAPTER_CONFIG).exists():
        path, adapter_path = _base_of(path), path
    if _is_gguf(path):
        if adapter_path is not None:
            raise ConfigError(
                f"{path}: an adapter cannot be merged into GGUF blocks without loss. Convert the folder it was trained "
                "on with --adapter, and run that."
            )
        from edge.checkpoint.gguf_door import open_gguf  # late: not for a folder's first token

        return open_gguf(path, None if projector is None else Path(projector), dtype=compute_dtype)
    if projector is not None:
        raise ConfigError(f"{path}: a projector belongs to a GGUF model, found another kind. Leave --mmproj out.")
    stored = folders.open_checkpoint(path, dtype=compute_dtype, adapter=adapter_path)
    if stored.adapter is not None:
        _LOG.warning("%s: the adapter is merged while reading", stored.adapter.folder)
    check_runs_in(stored.config, stored.quantized, dtype=compute_dtype, where=str(path))
    return FolderCheckpoint(path, stored.config, read_generation_settings(path), stored)


def _is_gguf(path: Path) -> bool:
    """Ask the reader of GGUF files, except about a folder that can be none."""
    if (path / "config.json").exists():
        return False
    from edge.checkpoint.pair import is_gguf

    return is_gguf(path)


def _base_of(adapter: Path) -> Path:
    base = read_adapter_config(adapter / ADAPTER_CONFIG).base
    if base is None:
        raise ConfigError(
            f"{adapter}: an adapter that does not name its base model. Give the model with --model, and this folder "
            "with --adapter."
        )
    return resolve_model(base)
