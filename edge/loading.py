"""Make an engine from a folder, a hub id, or the embedded demo checkpoint.

The tokenizer and the templates are read beside the weights: both wait for the disk.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlx.core as mx

from edge.engine import Engine, EngineLimits
from edge.errors import WeightError
from edge.memory import available_bytes, check_weights_fit, wire_memory
from edge.model.fused import fuse_layer
from edge.prompt.processor import Processor
from edge.settings import read_generation_settings
from edge.weights.folder import Checkpoint, default_dtype, load_folder, open_checkpoint
from edge.weights.hub import resolve_model

DEMO_FOLDER = Path(__file__).parent / "demo"


def load(
    model: str | Path | None = None, *, limits: EngineLimits | None = None, dtype: mx.Dtype | None = None
) -> Engine:
    """Load a checkpoint.

    Args:
        model: A model folder or a hub id such as org/name; None takes the embedded demo checkpoint.
        limits: Bounds of context and caches.
        dtype: Compute type; by default bfloat16 on a GPU and float32 on the CPU.

    Returns:
        An engine, ready to answer.

    Raises:
        ConfigError: No such model, or one this runtime does not support.
        WeightError: Its files are missing, broken, or of another model.
        MemoryPlanError: The weights do not fit into memory.
    """
    folder = demo_folder() if model is None else resolve_model(model)
    compute_dtype = dtype or default_dtype()
    checkpoint = open_checkpoint(folder, dtype=compute_dtype)
    check_weights_fit(
        weight_bytes(checkpoint, itemsize=compute_dtype.size), available=available_bytes(), folder=str(folder)
    )
    wire_memory()
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(Processor.from_folder, folder, checkpoint.config)
        loaded = load_folder(folder, dtype=compute_dtype)
        for layer in loaded.model.language_model.model.layers:
            fuse_layer(layer)
            mx.eval(layer.parameters())
        processor = reading.result()
    return Engine(
        model=loaded.model,
        config=loaded.config,
        processor=processor,
        generation=read_generation_settings(folder),
        name="demo" if model is None else str(model),
        limits=limits,
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
