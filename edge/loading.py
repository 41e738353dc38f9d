"""Make an engine from a folder, a GGUF pair, a hub id, or the embedded demo checkpoint.

The weights are read on the engine's model thread, tokenizer and templates beside them on this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx

from edge.checkpoint import door
from edge.checkpoint.draft import OpenedDraft, open_draft
from edge.checkpoint.folder import default_dtype
from edge.checkpoint.opened import Checkpoint
from edge.config_context import extend_context
from edge.engine import Engine
from edge.errors import RequestError, WeightError
from edge.limits import EngineLimits
from edge.memory import available_bytes, check_weights_fit
from edge.model.qwen3vl import Qwen3VL
from edge.run.build import seeing_draft

if TYPE_CHECKING:
    from edge.prompt.processor import Processor
    from edge.run.draft import Draft

DEMO_FOLDER = Path(__file__).parent / "demo"


def load(
    model: str | Path | None = None,
    *,
    projector: str | Path | None = None,
    adapter: str | Path | None = None,
    draft: str | Path | None = None,
    limits: EngineLimits | None = None,
    dtype: mx.Dtype | None = None,
) -> Engine:
    """Load a checkpoint.

    Args:
        model: A model folder, a GGUF file, a hub id such as org/name or org/name-GGUF:Q4_K_M, or a short name such
            as 8b or 30b-thinking; None takes the embedded demo checkpoint.
        projector: The vision file of a GGUF model; None looks beside it.
        adapter: Folder or hub id of a LoRA adapter, merged while reading; None takes one in the model's folder, if any.
        draft: A small model of the same vocabulary that guesses tokens ahead, as `model` is named; the answers stay
            the same.
        limits: Bounds of context and caches. `context_tokens` above the model's own context stretches its positions
            by YaRN, up to four times (1m for a model of 256k); short prompts then lose a little, so ask for it only
            when it is needed.
        dtype: Compute type; by default bfloat16 on a GPU and float32 on the CPU.

    Returns:
        An engine, ready to answer.

    Raises:
        ConfigError: No such model, or one this runtime does not support.
        UsageError: A short name for which no ready folder is known.
        WeightError: Its files are missing, broken, or of another model.
        RequestError: More context than the model can be stretched to, or no name of a model.
        MemoryPlanError: The weights do not fit into memory.
    """
    compute_dtype = dtype or default_dtype()
    model, draft = _spelled(model, field="model"), _spelled(draft, field="draft")
    source = demo_folder() if model is None else model
    tokens = limits.context_tokens if isinstance(limits, EngineLimits) else None
    checkpoint = _with_context(door.open(source, projector=projector, adapter=adapter, dtype=compute_dtype), tokens)
    second = (
        None if draft is None else open_draft(draft, dtype=compute_dtype)
    )  # far beyond its context it guesses badly
    _check_fit(checkpoint, second, itemsize=compute_dtype.size)

    def read_model() -> Qwen3VL:
        return checkpoint.read_model(compute_dtype).model

    return Engine(
        read_model=read_model,
        read_processor=lambda: _read_processor(checkpoint, second),
        config=checkpoint.config,
        generation=checkpoint.generation,
        name="demo" if model is None else str(model),
        limits=limits,
        identity=f"{checkpoint.identity} {compute_dtype} {checkpoint.config.text.rope}",
        read_draft=None if second is None else lambda: _read_draft(second),
    )


def _spelled(name: str | Path | None, *, field: str) -> str | Path | None:
    """Write out a short name; refuse what can name no model."""
    if name is None:
        return None
    if not isinstance(name, str | Path) or not str(name):
        raise RequestError(
            f"{field}: expected a folder, a GGUF file or a hub id, found {name!r:.60}. Leave it out, or name one.",
            field=field,
        )
    from edge.short_names import spell_out  # late: the demo has no name to look up

    return spell_out(name)


def _with_context(checkpoint: Checkpoint, context_tokens: int | None) -> Checkpoint:
    """Stretch a checkpoint's positions where more tokens are asked for than it takes."""
    config = extend_context(checkpoint.config, context_tokens)
    return checkpoint if config is checkpoint.config else checkpoint.with_config(config)


def _check_fit(checkpoint: Checkpoint, draft: OpenedDraft | None, *, itemsize: int) -> None:
    """Refuse weights that do not fit, those of a draft among them."""
    needed = checkpoint.weight_bytes(itemsize=itemsize) + (0 if draft is None else draft.weight_bytes)
    available = available_bytes()
    if needed > available:
        from edge.plan.advice import fitting_recipes  # only for the advice

        advice = fitting_recipes(checkpoint.config, available=available)
        check_weights_fit(needed, available=available, folder=str(checkpoint.path), advice=advice)


def _read_processor(checkpoint: Checkpoint, draft: OpenedDraft | None) -> Processor:
    processor = checkpoint.read_processor()
    if draft is not None:
        draft.check(checkpoint.config, processor.tokenizer)
    return processor


def _read_draft(draft: OpenedDraft) -> Draft:
    if draft.read_model is not None:
        return seeing_draft(draft.read_model())
    from edge.run.text_draft import read_text_draft  # late: it needs mlx-lm

    assert draft.folder is not None, "a text model has a folder"
    return read_text_draft(draft.folder)


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
