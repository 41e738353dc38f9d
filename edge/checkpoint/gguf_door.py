"""Open a GGUF model: the door's part that folders do not need, imported when such a file comes.

In: a text file, and its projector if it does not lie beside it. Out: a `Checkpoint` like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import mlx.core as mx

from edge.checkpoint import pair as pairs
from edge.checkpoint.build import check_runs_in
from edge.checkpoint.folder import LoadedModel
from edge.checkpoint.gguf_config import read_generation, read_settings
from edge.checkpoint.gguf_vocabulary import read_vocabulary
from edge.checkpoint.opened import Checkpoint
from edge.checkpoint.pair_parameters import load_pair
from edge.config import LayerQuantization, ModelConfig
from edge.records import dataclass

if TYPE_CHECKING:
    from edge.prompt.processor import Processor


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

    def with_config(self, config: ModelConfig) -> Self:
        """Return the same files with another configuration of equal tensors."""
        return replace(self, config=config, pair=replace(self.pair, config=config))

    def _read_processor(self) -> Processor:
        return gguf_processor(self.pair)


def open_gguf(path: Path, projector: Path | None, *, dtype: mx.Dtype) -> GgufCheckpoint:
    """Open a GGUF model.

    Args:
        path: The text file.
        projector: The vision file; None looks beside it.
        dtype: What weights are computed in.

    Raises:
        ConfigError: No such model, or one that is not supported.
        WeightError: Its files are missing, broken, or of another model.
    """
    pair = pairs.open_pair(path, projector)
    check_runs_in(pair.config, pair.packed_modules(), dtype=dtype, where=str(pair.text.path))
    return GgufCheckpoint(pair.text.path, pair.config, read_generation(pair.text, pair.config), pair)


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
