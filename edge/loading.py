"""Make an engine from a folder, a GGUF pair, a hub id, or the embedded demo checkpoint.

The tokenizer and the templates are read beside the weights: both wait for the disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mlx.core as mx

from edge.engine import Engine, EngineLimits
from edge.errors import ConfigError, WeightError
from edge.memory import available_bytes, check_weights_fit, wire_memory
from edge.model.fused import fuse_layer
from edge.prompt.processor import Processor
from edge.prompt.text.template import ChatTemplate
from edge.prompt.text.tokenizer import Tokenizer
from edge.settings import GenerationSettings, read_generation_settings
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
    wire_memory()
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(parts.read_processor)
        loaded = parts.read_model()
        for layer in loaded.model.language_model.model.layers:
            fuse_layer(layer)
            mx.eval(layer.parameters())
        processor = reading.result()
    return Engine(
        model=loaded.model,
        config=loaded.config,
        processor=processor,
        generation=parts.generation,
        name="demo" if model is None else str(model),
        limits=limits,
    )


def _open_folder(folder: Path, dtype: mx.Dtype) -> _Parts:
    checkpoint = open_checkpoint(folder, dtype=dtype)
    return _Parts(
        weight_bytes(checkpoint, itemsize=dtype.size),
        read_generation_settings(folder),
        partial(Processor.from_folder, folder, checkpoint.config),
        partial(load_folder, folder, dtype=dtype),
    )


def _open_gguf(pair: GgufPair, dtype: mx.Dtype) -> _Parts:
    return _Parts(
        pair.weight_bytes(itemsize=dtype.size),
        read_generation(pair.text, pair.config),
        partial(gguf_processor, pair),
        partial(load_pair, pair, dtype=dtype),
    )


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
