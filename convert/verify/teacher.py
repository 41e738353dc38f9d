"""Run the reference: plan its memory and disk, pass all prompts through block by block, keep every state.

A finished step is on disk, so a killed run goes on with the next one; later runs with the same checkpoint, prompts
and type read everything from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from convert.memory import check_memory
from convert.verify.samples import SampleSet
from convert.verify.scores import ROWS_AT_ONCE, TOP_TOKENS, TeacherLogits, teacher_logits
from convert.verify.stages import Array, Blocks, Stage, layer_name, list_stages, run_stage
from convert.verify.store import StateStore
from edge.checkpoint.folder import Checkpoint
from edge.config import ModelConfig

LOGITS = "logits"
PROBE_ROWS = 8  # tokens that every expert is shown, so that experts nobody chose are checked too
_LIBRARIES_BYTES = 800_000_000  # torch, transformers, MLX and a real vocabulary, measured
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PassPlan:
    """What a pass of the reference takes, in bytes."""

    memory_bytes: int
    disk_bytes: int

    def check(self, available: int | None = None) -> None:
        """Refuse a pass that does not fit.

        Raises:
            MemoryPlanError: Less memory is free.
        """
        advice = "give --dtype bfloat16, or fewer prompts"
        check_memory(self.memory_bytes, what="One block of the reference", advice=advice, available=available)


def plan_pass(checkpoint: Checkpoint, samples: SampleSet, *, itemsize: int) -> PassPlan:
    """Estimate memory and disk of a pass.

    Args:
        checkpoint: The reference.
        samples: All prompts.
        itemsize: Bytes of a weight in the compute type.
    """
    config = checkpoint.config
    blocks: dict[str, int] = {}
    for rule in checkpoint.rules:
        for target in rule.targets:
            block = _block_of(target.name)
            blocks[block] = blocks.get(block, 0) + prod(target.shape) * itemsize
    # The embedding is read by rows; its block counts as the projection when they are tied.
    stored = max(info.num_bytes for info in checkpoint.source.tensors.values())
    state = 4 * (samples.num_tokens * config.text.hidden_size + samples.num_patches * config.vision.hidden_size)
    longest = max(sample.length for sample in samples.samples)
    widest = 40 * max(
        longest * max(config.text.hidden_size, config.text.num_heads * config.text.head_dim),
        ROWS_AT_ONCE * config.text.vocab_size,
    )
    memory = _LIBRARIES_BYTES + max(blocks.values()) + stored + 4 * state + widest
    return PassPlan(memory, _disk_bytes(config, samples))


def run_teacher(
    blocks: Blocks, samples: SampleSet, *, config: ModelConfig, store: StateStore, say: Say
) -> list[TeacherLogits]:
    """Pass all prompts through the reference, or go on with a pass that was cut off.

    Args:
        blocks: The reference.
        samples: All prompts.
        config: Its configuration.
        store: Keeps the states.
        say: Told what is done.

    Returns:
        Its predictions, one record per prompt.
    """
    stages = list_stages(config, has_media=bool(samples.media))
    for number, stage in enumerate(stages, start=1):
        if store.has(stage.name):
            continue
        say(f"reference: {stage.label} ({number} of {len(stages) + 1})")
        outputs = run_stage(blocks, stage, samples, store)
        seen = [output.router_input for output in outputs if output.router_input is not None]
        if seen:
            rows = _probe_rows(seen)
            store.save_arrays(probe_name(stage), {"rows": rows, "outputs": blocks.probe_experts(stage.index, rows)})
        store.save(stage.name, outputs)  # last: with it the step counts as done
        blocks.release()
    if not store.has(LOGITS):
        say(f"reference: logits ({len(stages) + 1} of {len(stages) + 1})")
        last = store.hidden(layer_name(config.text.num_layers - 1))
        pairs = zip(last, samples.samples, strict=True)
        save_logits(store, [teacher_logits(blocks, hidden, sample) for hidden, sample in pairs])
        blocks.release()
    return load_logits(store, len(samples.samples))


def probe_name(stage: Stage) -> str:
    """Return the name under which a layer's expert probes are kept."""
    return f"{stage.name}-experts"


def save_logits(store: StateStore, records: list[TeacherLogits]) -> None:
    """Keep the reference's predictions."""
    arrays: dict[str, np.ndarray] = {}
    for index, record in enumerate(records):
        arrays |= {
            f"{index}.tokens": record.tokens,
            f"{index}.values": record.values,
            f"{index}.lse": record.lse,
            f"{index}.target_logprob": record.target_logprob,
        }
    store.save_arrays(LOGITS, {name: np.ascontiguousarray(array) for name, array in arrays.items()})


def load_logits(store: StateStore, num_samples: int) -> list[TeacherLogits]:
    """Read the reference's predictions."""
    arrays = store.arrays(LOGITS)
    names = ("tokens", "values", "lse", "target_logprob")
    return [TeacherLogits(*(arrays[f"{index}.{name}"] for name in names)) for index in range(num_samples)]


def _probe_rows(seen: list[Array]) -> Array:
    """Choose evenly spaced tokens of all prompts."""
    rows = np.concatenate(seen)
    return rows[np.linspace(0, len(rows) - 1, min(PROBE_ROWS, len(rows))).astype(np.int64)]


def _block_of(name: str) -> str:
    """Return the block a parameter belongs to: a layer, a vision block, a merger, a table."""
    parts = name.split(".")
    numbered = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    return ".".join(parts[: numbered + 1]) if numbered is not None else parts[-2]


def _disk_bytes(config: ModelConfig, samples: SampleSet) -> int:
    text, vision = config.text, config.vision
    num_sparse = sum(text.is_sparse_layer(index) for index in range(text.num_layers))
    probes = 4 * PROBE_ROWS * text.hidden_size * num_sparse * (text.moe.num_experts if text.moe else 0)
    per_token = 4 * text.hidden_size * (1 + text.num_layers + num_sparse) + 8 * min(TOP_TOKENS, text.vocab_size)
    merged = text.hidden_size * (1 + len(vision.deepstack_indexes)) // vision.merge_area
    per_patch = 4 * (vision.hidden_size * (1 + vision.depth) + merged)
    return probes + samples.num_tokens * per_token + samples.num_patches * per_patch
