"""Make an engine from a folder, a GGUF pair, a hub id, or the embedded demo checkpoint.

The weights are read on the engine's model thread, tokenizer and templates beside them on this one.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx

from edge.checkpoint import door
from edge.checkpoint.folder import default_dtype
from edge.config_context import extend_context
from edge.engine import Engine
from edge.errors import WeightError
from edge.limits import EngineLimits
from edge.memory import available_bytes, check_weights_fit
from edge.model.qwen3vl import Qwen3VL

DEMO_FOLDER = Path(__file__).parent / "demo"


def load(
    model: str | Path | None = None,
    *,
    projector: str | Path | None = None,
    adapter: str | Path | None = None,
    limits: EngineLimits | None = None,
    dtype: mx.Dtype | None = None,
) -> Engine:
    """Load a checkpoint.

    Args:
        model: A model folder, a GGUF file, or a hub id such as org/name or org/name-GGUF:Q4_K_M; None takes the
            embedded demo checkpoint.
        projector: The vision file of a GGUF model; None looks beside it.
        adapter: Folder or hub id of a LoRA adapter, merged while reading; None takes one in the model's folder, if any.
        limits: Bounds of context and caches. `context_tokens` above the model's own context stretches its positions
            by YaRN, up to four times (1m for a model of 256k); short prompts then lose a little, so ask for it only
            when it is needed.
        dtype: Compute type; by default bfloat16 on a GPU and float32 on the CPU.

    Returns:
        An engine, ready to answer.

    Raises:
        ConfigError: No such model, or one this runtime does not support.
        WeightError: Its files are missing, broken, or of another model.
        RequestError: More context than the model can be stretched to.
        MemoryPlanError: The weights do not fit into memory.
    """
    compute_dtype = dtype or default_dtype()
    source = demo_folder() if model is None else model
    checkpoint = door.open(source, projector=projector, adapter=adapter, dtype=compute_dtype)
    config = extend_context(checkpoint.config, None if limits is None else limits.context_tokens)
    if config is not checkpoint.config:
        checkpoint = checkpoint.with_config(config)
    needed, available = checkpoint.weight_bytes(itemsize=compute_dtype.size), available_bytes()
    if needed > available:
        from edge.plan.advice import fitting_recipes  # only for the advice

        advice = fitting_recipes(checkpoint.config, available=available)
        check_weights_fit(needed, available=available, folder=str(checkpoint.path), advice=advice)

    def read_model() -> Qwen3VL:
        return checkpoint.read_model(compute_dtype).model

    return Engine(
        read_model=read_model,
        read_processor=checkpoint.read_processor,
        config=checkpoint.config,
        generation=checkpoint.generation,
        name="demo" if model is None else str(model),
        limits=limits,
        identity=f"{checkpoint.identity} {compute_dtype} {config.text.rope}",
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
