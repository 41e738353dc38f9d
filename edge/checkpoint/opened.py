"""What an opened checkpoint is, whatever its format.

Out of `edge.checkpoint.door.open`: configuration and generation settings at once; tensors, the model and the parts of
prompts when they are asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import mlx.core as mx

from edge.checkpoint.folder import LoadedModel
from edge.config import LayerQuantization, ModelConfig
from edge.errors import ConfigError
from edge.records import dataclass
from edge.settings import GenerationSettings

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

    @abstractmethod
    def with_config(self, config: ModelConfig) -> Self:
        """Return the same checkpoint with another configuration of equal tensors, such as a longer context."""

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
