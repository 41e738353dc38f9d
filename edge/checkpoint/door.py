"""Open any checkpoint: a folder, a GGUF model, a hub id or an entry of the hub's cache.

In: what a user calls a model. Out: a `Checkpoint`: configuration and generation settings at once, tensors checked by
name and shape, the model and the parts of its prompts when they are asked for. Everything is opened and matched once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx

from edge.checkpoint import folder as folders
from edge.checkpoint import pair as pairs
from edge.checkpoint.adapter_config import CONFIG_NAME as ADAPTER_CONFIG
from edge.checkpoint.adapter_config import read_adapter_config
from edge.checkpoint.build import check_runs_in
from edge.checkpoint.files.hub import resolve_model
from edge.checkpoint.folder import LoadedModel, default_dtype, load_checkpoint
from edge.checkpoint.gguf_config import read_generation, read_settings
from edge.checkpoint.gguf_vocabulary import read_vocabulary
from edge.checkpoint.pair_parameters import load_pair
from edge.config import LayerQuantization, ModelConfig
from edge.errors import ConfigError
from edge.settings import GenerationSettings, read_generation_settings

if TYPE_CHECKING:
    from edge.prompt.processor import Processor
    from edge.prompt.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Checkpoint(ABC):
    """A checkpoint whose files were checked against its configuration; no tensor is read yet.

    Attributes:
        path: The folder or file.
        config: The configuration.
        generation: Its own sampling advice.
    """

    path: Path
    config: ModelConfig
    generation: GenerationSettings

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """The files that decide the weights."""

    @property
    @abstractmethod
    def packed(self) -> Mapping[str, LayerQuantization]:
        """Module path -> how its weight is packed."""

    @abstractmethod
    def weight_bytes(self, *, itemsize: int) -> int:
        """Count the bytes of all parameters in memory when floats have `itemsize` bytes."""

    @abstractmethod
    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Read a stored tensor, or rows of its first axis, unpacked where it is stored in blocks."""

    @abstractmethod
    def read_model(self, dtype: mx.Dtype) -> LoadedModel:
        """Read all parameters; floats become `dtype`."""

    @abstractmethod
    def _read_processor(self) -> Processor: ...

    def read_processor(self) -> Processor:
        """Read what makes prompts: tokenizer, template, settings.

        Raises:
            ConfigError: A part is missing or cannot be used, or a token lies beyond the embedding.
            PromptError: The chat template is missing or refused.
        """
        processor = self._read_processor()
        check_rows(processor.tokenizer, self.config, where=str(self.path))
        return processor

    @property
    def identity(self) -> str:
        """Tell the files from others, and from what they were before a change."""
        states = [(str(path.resolve()), path.stat()) for path in self.files]
        return repr([(name, state.st_size, state.st_mtime_ns) for name, state in states])


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

    def _read_processor(self) -> Processor:
        from edge.prompt.processor import Processor

        return Processor.from_folder(self.path, self.config)


@dataclass(frozen=True, slots=True)
class GgufCheckpoint(Checkpoint):
    """A text model and its projector in GGUF files."""

    pair: pairs.GgufPair

    @property
    def files(self) -> tuple[Path, ...]:
        """All parts of both files."""
        return tuple(dict.fromkeys((*self.pair.text.paths, *self.pair.projector.paths)))

    @property
    def packed(self) -> Mapping[str, LayerQuantization]:
        """Module path -> how its weight is packed."""
        return self.pair.packed_modules()

    def weight_bytes(self, *, itemsize: int) -> int:
        """Count the bytes of all parameters in memory when floats have `itemsize` bytes."""
        return self.pair.weight_bytes(itemsize=itemsize)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Read a stored tensor, or rows of its first axis, decoded."""
        return self.pair.read(name, start, stop)

    def read_model(self, dtype: mx.Dtype) -> LoadedModel:
        """Read all parameters; floats become `dtype`."""
        return load_pair(self.pair, dtype=dtype)

    def _read_processor(self) -> Processor:
        return gguf_processor(self.pair)


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
    if pairs.is_gguf(path):
        if adapter_path is not None:
            raise ConfigError(
                f"{path}: an adapter cannot be merged into GGUF blocks without loss. Convert the folder it was trained "
                "on with --adapter, and run that."
            )
        return _open_gguf(path, projector, compute_dtype)
    if projector is not None:
        raise ConfigError(f"{path}: a projector belongs to a GGUF model, found another kind. Leave --mmproj out.")
    stored = folders.open_checkpoint(path, dtype=compute_dtype, adapter=adapter_path)
    check_runs_in(stored.config, stored.quantized, dtype=compute_dtype, where=str(path))
    return FolderCheckpoint(path, stored.config, read_generation_settings(path), stored)


def gguf_processor(pair: pairs.GgufPair) -> Processor:
    """Build tokenizer, template and settings from a GGUF pair's metadata.

    Raises:
        ConfigError: Something is missing or cannot be used.
        PromptError: The chat template is refused.
    """
    # Late: converters open checkpoints without making prompts.
    from edge.prompt.processor import Processor
    from edge.prompt.text.template import ChatTemplate
    from edge.prompt.text.tokenizer import Tokenizer

    vocabulary = read_vocabulary(pair.text)
    images, videos = read_settings(pair.projector, pair.config)
    return Processor(
        config=pair.config,
        tokenizer=Tokenizer.from_vocabulary(vocabulary.tokens, vocabulary.merges, vocabulary.added),
        template=ChatTemplate(vocabulary.template, where=f"{pair.text.path} tokenizer.chat_template"),
        images=images,
        videos=videos,
        generation=read_generation(pair.text, pair.config),
    )


def check_rows(tokenizer: Tokenizer, config: ModelConfig, *, where: str) -> None:
    """Refuse a tokenizer with a token that the embedding has no row for: reading it would read foreign memory.

    Raises:
        ConfigError: There is such a token.
    """
    number, token = tokenizer.highest_token
    if number >= config.text.vocab_size:
        raise ConfigError(
            f"{where}: the token {token!r} has id {number}, the embedding has {config.text.vocab_size} rows (ids from "
            "0). Take the model's own tokenizer, or resize the embedding as it was trained."
        )


def _open_gguf(path: Path, projector: str | Path | None, dtype: mx.Dtype) -> Checkpoint:
    pair = pairs.open_pair(path, None if projector is None else Path(projector))
    check_runs_in(pair.config, pair.packed_modules(), dtype=dtype, where=str(pair.text.path))
    return GgufCheckpoint(pair.text.path, pair.config, read_generation(pair.text, pair.config), pair)


def _base_of(adapter: Path) -> Path:
    base = read_adapter_config(adapter / ADAPTER_CONFIG).base
    if base is None:
        raise ConfigError(
            f"{adapter}: an adapter that does not name its base model. Give the model with --model, and this folder "
            "with --adapter."
        )
    return resolve_model(base)
