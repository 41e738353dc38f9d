"""Make an engine from a folder, a GGUF pair, a hub id, or the embedded demo checkpoint.

The weights are read on the engine's model thread, tokenizer and templates beside them on this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mlx.core as mx

from edge.config import ModelConfig
from edge.engine import Engine
from edge.errors import ConfigError, WeightError
from edge.limits import EngineLimits
from edge.memory import available_bytes, check_weights_fit
from edge.model.qwen3vl import Qwen3VL
from edge.prompt.processor import Processor
from edge.prompt.text.template import ChatTemplate
from edge.prompt.text.tokenizer import Tokenizer
from edge.settings import GenerationSettings, read_generation_settings
from edge.weights.build import check_runs_in
from edge.weights.folder import Checkpoint, LoadedModel, default_dtype, load_folder, open_checkpoint
from edge.weights.gguf import load_pair
from edge.weights.gguf_config import read_generation, read_settings
from edge.weights.gguf_pair import GgufPair, is_gguf, open_pair
from edge.weights.gguf_vocabulary import read_vocabulary
from edge.weights.hub import resolve_model

DEMO_FOLDER = Path(__file__).parent / "demo"


@dataclass(frozen=True, slots=True)
class _Parts:
    """A checkpoint that was opened and checked, and how to read the rest of it."""

    config: ModelConfig
    identity: str
    weight_bytes: int
    generation: GenerationSettings
    read_processor: Callable[[], Processor]
    read_model: Callable[[], LoadedModel]


def load(
    model: str | Path | None = None,
    *,
    projector: str | Path | None = None,
    limits: EngineLimits | None = None,
    dtype: mx.Dtype | None = None,
) -> Engine:
    """Load a checkpoint.

    Args:
        model: A model folder, a .gguf file or a hub id such as org/name; None takes the embedded demo checkpoint.
        projector: The vision file of a GGUF model; None looks beside it.
        limits: Bounds of context and caches.
        dtype: Compute type; by default bfloat16 on a GPU and float32 on the CPU.

    Returns:
        An engine, ready to answer.

    Raises:
        ConfigError: No such model, or one this runtime does not support.
        WeightError: Its files are missing, broken, or of another model.
        MemoryPlanError: The weights do not fit into memory.
    """
    path = demo_folder() if model is None else resolve_model(model)
    compute_dtype = dtype or default_dtype()
    if is_gguf(path):
        parts = _open_gguf(open_pair(path, None if projector is None else Path(projector)), compute_dtype)
    elif projector is not None:
        raise ConfigError(f"{path}: a projector belongs to a GGUF model, found another kind. Leave --mmproj out.")
    else:
        parts = _open_folder(path, compute_dtype)
    check_weights_fit(parts.weight_bytes, available=available_bytes(), folder=str(path))

    def read_model() -> Qwen3VL:
        return parts.read_model().model

    return Engine(
        read_model=read_model,
        read_processor=parts.read_processor,
        config=parts.config,
        generation=parts.generation,
        name="demo" if model is None else str(model),
        limits=limits,
        identity=f"{parts.identity} {compute_dtype}",
    )


def _open_folder(folder: Path, dtype: mx.Dtype) -> _Parts:
    checkpoint = open_checkpoint(folder, dtype=dtype)
    check_runs_in(checkpoint.config, checkpoint.quantized, dtype=dtype, where=str(folder))
    return _Parts(
        checkpoint.config,
        _identity([folder / "config.json", *(file.path for file in checkpoint.source.files)]),
        weight_bytes(checkpoint, itemsize=dtype.size),
        read_generation_settings(folder),
        partial(Processor.from_folder, folder, checkpoint.config),
        partial(load_folder, folder, dtype=dtype),
    )


def _open_gguf(pair: GgufPair, dtype: mx.Dtype) -> _Parts:
    check_runs_in(pair.config, pair.packed_modules(), dtype=dtype, where=str(pair.text.path))
    return _Parts(
        pair.config,
        _identity([pair.text.path, pair.projector.path]),
        pair.weight_bytes(itemsize=dtype.size),
        read_generation(pair.text, pair.config),
        partial(gguf_processor, pair),
        partial(load_pair, pair, dtype=dtype),
    )


def _identity(files: Sequence[Path]) -> str:
    """Tell the files of a checkpoint from others, and from what they were before a change."""
    states = [(str(path.resolve()), path.stat()) for path in files]
    return repr([(name, state.st_size, state.st_mtime_ns) for name, state in states])


def gguf_processor(pair: GgufPair) -> Processor:
    """Build tokenizer, template and settings from a GGUF pair's metadata.

    Raises:
        ConfigError: Something is missing or cannot be used.
        PromptError: The chat template is refused.
    """
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


def demo_folder() -> Path:
    """Return the folder of the embedded demo checkpoint.

    Raises:
        WeightError: This installation has none.
    """
    if not (DEMO_FOLDER / "config.json").is_file():
        raise WeightError(
            f"{DEMO_FOLDER}: the embedded demo checkpoint is missing. Install again, or name a model with --model."
        )
    return DEMO_FOLDER


def weight_bytes(checkpoint: Checkpoint, *, itemsize: int) -> int:
    """Count the bytes all parameters take in memory when floats have `itemsize` bytes."""
    sizes = {"float": itemsize, "U32": 4, "U8": 1}
    return sum(
        math.prod(target.shape) * sizes[target.stored_as] for rule in checkpoint.rules for target in rule.targets
    )
