"""Plan memory before work starts, and refuse with numbers instead of swapping.

In: sizes from the configuration and the bytes free now. Out: a `MemoryPlan`, which says whether it fits, or refuses
with what would. Weights are counted from the files; keys and values, the prefill's activations and the vision tower's
peak from the configuration. The estimates are upper bounds of what a step holds at once, not of MLX's buffer cache,
which `mx.clear_cache` empties between chunks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from edge.config import ModelConfig, TextConfig, VisionConfig
from edge.errors import MemoryPlanError
from edge.kv.packed import MAX_SCORE_BYTES
from edge.memory_vision import vision_peak_bytes
from edge.model.types import Grid
from edge.packed_experts import UNPACK_FROM_PAIRS, UNPACKED_BYTES, is_packed_slow
from edge.packed_products import piece_bytes
from edge.products import are_scores_cut
from edge.records import dataclass

GB = 1_000_000_000
# macOS lets the GPU wire about three quarters of the memory by default (iogpu.wired_limit_mb).
MACOS_GPU_SHARE = 0.75
# Left to the rest of the machine.
RESERVE_BYTES = 300_000_000
# A prefill chunk may hold this much at once; the chunk is made smaller until it does.
CHUNK_BUDGET_BYTES = 768 * 2**20
CHUNK_SIZES = (2048, 1024, 512, 256, 128, 64)
# MLX keeps freed buffers up to this; more than a chunk's is of no use, and pages of the GPU never swap.
SPARE_BYTES = 2**30
# Attention to packed keys and values goes cut by cut; of n cuts so many are held (measured on MLX's CPU, n 1 to 8).
PACKED_CUTS = (1.25, 0.52)
MOST_PACKED_CUTS = 10
# Room for an answer of unknown length, when the request does not say.
ANSWER_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Precision:
    """How a machine computes.

    Attributes:
        itemsize: Bytes per value of activations.
        is_attention_fused: Whether the decoder's attention needs no score matrix in memory.
        is_vision_fused: The same of the vision tower; None asks this machine.
        unpacks_experts: Whether packed experts are unpacked to read a prompt.
    """

    itemsize: int
    is_attention_fused: bool
    is_vision_fused: bool | None = None
    unpacks_experts: bool = False


def precision_for(*, value_bytes: int) -> Precision:
    """Tell how this machine computes with activations of so many bytes."""
    is_fused = are_scores_cut(value_bytes=value_bytes)
    return Precision(value_bytes, is_attention_fused=is_fused, unpacks_experts=is_packed_slow())


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What one request needs on top of the loaded weights, in bytes, and what is free."""

    kv_bytes: int
    prefill_bytes: int
    vision_bytes: int
    available_bytes: int
    kv_bytes_per_token: int
    new_tokens: int
    feature_bytes: int = 0

    @property
    def fits(self) -> bool:
        """Whether it can run now."""
        return self.needed_bytes <= self.available_bytes

    def refuse(self) -> NoReturn:
        """Say what it needs and what would fit.

        Raises:
            MemoryPlanError: Always.
        """
        parts = f"cache {_gb(self.kv_bytes)}, prefill {_gb(self.prefill_bytes)}, pictures {_gb(self.vision_bytes)}"
        raise MemoryPlanError(
            f"The request needs {_gb(self.needed_bytes)} beside the weights for {self.new_tokens} new tokens "
            f"({parts}); free are {_gb(self.available_bytes)}. About {self.max_new_tokens} new tokens would fit: "
            "shorten the prompt, lower max_tokens or max_pixels.",
            field="max_tokens",
        )

    @property
    def needed_bytes(self) -> int:
        """Peak: keys and values, and what the tower saw, beside a chunk; or before that, the tower at work."""
        return max(self.kv_bytes + self.prefill_bytes + self.feature_bytes, self.vision_bytes)

    @property
    def max_new_tokens(self) -> int:
        """Tokens for which keys and values fit beside the peak of the rest."""
        if self.vision_bytes > self.available_bytes:
            return 0
        free = self.available_bytes - self.prefill_bytes - self.feature_bytes
        return max(0, free // self.kv_bytes_per_token)


def available_bytes() -> int:
    """Measure the bytes that new work may use now: free memory, the container's limit, macOS's GPU share."""
    import psutil

    memory = psutil.virtual_memory()
    available = int(memory.available)
    if sys.platform == "darwin":
        used = int(memory.total) - available
        available = min(available, max(0, int(MACOS_GPU_SHARE * memory.total) - used))
    return max(0, min(available, _cgroup_free_bytes(Path("/sys/fs/cgroup"))) - RESERVE_BYTES)


def check_weights_fit(weight_bytes: int, *, available: int, folder: str, advice: str = "") -> None:
    """Refuse to load weights that do not fit.

    Args:
        weight_bytes: Bytes of all parameters in the type they will have in memory.
        available: From `available_bytes`.
        folder: For the message.
        advice: What would fit, for the message.

    Raises:
        MemoryPlanError: They do not fit.
    """
    if weight_bytes <= available:
        return
    share = available / max(weight_bytes, 1)
    raise MemoryPlanError(
        f"{folder}: the weights need {_gb(weight_bytes)}, free for them are {_gb(available)}. "
        f"Close other programs, or use a checkpoint with at most {max(share, 0.0):.0%} of this size "
        f"(a smaller model or fewer bits).{advice}"
    )


def plan_request(
    config: ModelConfig,
    *,
    precision: Precision,
    token_bytes: int,
    new_tokens: int,
    context_tokens: int,
    unseen: Sequence[Grid],
    available: int,
    kv_bits: int | None = None,
    chunk_tokens: int | None = None,
) -> MemoryPlan:
    """Plan one request; `MemoryPlan.fits` says whether it can run.

    Args:
        config: The model's sizes.
        precision: Of activations.
        token_bytes: Keys and values of one token over all layers.
        new_tokens: Tokens whose keys and values do not exist yet: prompt without its kept prefix, and the answer.
        context_tokens: S, all tokens of prompt and answer.
        unseen: Grids of the pictures and videos the vision tower has to see, one call each.
        available: From `available_bytes`.
        kv_bits: How keys and values are stored.
        chunk_tokens: Tokens of a prefill forward; None chooses.
    """
    chunk = chunk_tokens or choose_chunk_tokens(
        config.text, precision=precision, context_tokens=context_tokens, kv_bits=kv_bits
    )
    return MemoryPlan(
        kv_bytes=new_tokens * token_bytes,
        prefill_bytes=prefill_bytes(
            config.text,
            precision=precision,
            chunk_tokens=min(chunk, new_tokens),
            context_tokens=context_tokens,
            new_tokens=new_tokens,
            kv_bits=kv_bits,
        )
        + unpacked_bytes(config.text, precision=precision, chunk_tokens=min(chunk, new_tokens)),
        vision_bytes=max((vision_bytes(config.vision, grid, precision=precision) for grid in unseen), default=0),
        available_bytes=available,
        kv_bytes_per_token=token_bytes,
        new_tokens=new_tokens,
        feature_bytes=sum(feature_bytes(config.vision, grid, itemsize=precision.itemsize) for grid in unseen),
    )


def vision_bytes(vision: VisionConfig, grid: Grid, *, precision: Precision) -> int:
    """Bound the bytes the tower takes beside its weights while it looks at one picture or video."""
    return vision_peak_bytes(vision, [grid], value_bytes=precision.itemsize, is_fused=precision.is_vision_fused)


def feature_bytes(vision: VisionConfig, grid: Grid, *, itemsize: int) -> int:
    """Count the bytes of what the tower gives for one picture or video, DeepStack levels included."""
    frames, height, width = grid
    num_tokens = frames * height * width // vision.merge_area
    return num_tokens * vision.out_hidden_size * (1 + len(vision.deepstack_indexes)) * itemsize


def choose_chunk_tokens(
    text: TextConfig, *, precision: Precision, context_tokens: int, kv_bits: int | None = None
) -> int:
    """Choose the largest prefill chunk whose activations stay within `CHUNK_BUDGET_BYTES`."""
    for chunk_tokens in CHUNK_SIZES:
        held = prefill_bytes(
            text, precision=precision, chunk_tokens=chunk_tokens, context_tokens=context_tokens, kv_bits=kv_bits
        )
        if held <= CHUNK_BUDGET_BYTES:
            return chunk_tokens
    return CHUNK_SIZES[-1]


def prefill_bytes(
    text: TextConfig,
    *,
    precision: Precision,
    chunk_tokens: int,
    context_tokens: int,
    new_tokens: int | None = None,
    kv_bits: int | None = None,
) -> int:
    """Bound the bytes one decoder layer holds during a chunk, with the logits of one position.

    Args:
        text: Sizes of the decoder.
        precision: Of activations.
        chunk_tokens: Tokens of one forward.
        context_tokens: S, tokens the last chunk attends to.
        new_tokens: Of these, tokens to compute; None takes all.
        kv_bits: How keys and values are stored: packed ones are attended without a fused kernel, in cuts.
    """
    if text.moe is not None:
        mlp_width = 3 * text.moe.experts_per_token * max(text.moe.intermediate_size, text.hidden_size)
    else:
        mlp_width = 3 * text.intermediate_size
    # Heads as projected, normalised and rotated are held together.
    heads_width = (text.num_heads + 2 * text.num_kv_heads) * text.head_dim
    attention_width = 3 * heads_width
    inner_width = text.intermediate_size if text.moe is None else text.moe.intermediate_size
    unpacked = piece_bytes(text.hidden_size * max(2 * inner_width, heads_width), value_bytes=precision.itemsize)
    # Twice the widest layer: MLX begins the next one before the last is freed (measured 1.2 to 1.7 times).
    values = 2 * chunk_tokens * (4 * text.hidden_size + max(mlp_width, attention_width)) + 4 * text.vocab_size
    scores = 0
    if kv_bits is not None or not precision.is_attention_fused:
        pairs = _most_pairs(chunk_tokens, context_tokens=context_tokens, new_tokens=new_tokens or context_tokens)
        scores = int(1.15 * 4 * text.num_heads * pairs)  # float32, measured 1.03 to 1.15 on MLX's CPU
    if kv_bits is not None:
        first, each = PACKED_CUTS
        num_cuts = min(first + each * scores / 1.15 / MAX_SCORE_BYTES, MOST_PACKED_CUTS)
        scores = min(scores, int(num_cuts * MAX_SCORE_BYTES))
    return values * precision.itemsize + scores + unpacked


def unpacked_bytes(text: TextConfig, *, precision: Precision, chunk_tokens: int) -> int:
    """Count the bytes of experts that a prefill chunk unpacks: those in use, and the next ones already."""
    if text.moe is None or not precision.unpacks_experts:
        return 0
    return 2 * UNPACKED_BYTES if chunk_tokens * text.moe.experts_per_token >= UNPACK_FROM_PAIRS else 0


def _most_pairs(chunk_tokens: int, *, context_tokens: int, new_tokens: int) -> int:
    """Return the most pairs of a new and an attended token in one chunk: in the last full one, or in the rest."""
    num_full, rest = divmod(new_tokens, chunk_tokens)
    last_full = context_tokens - rest
    return max(chunk_tokens * last_full if num_full else 0, rest * context_tokens)


def _cgroup_free_bytes(root: Path) -> int:
    """Bytes left under the container's memory limit; the largest int without one."""
    try:
        limit = (root / "memory.max").read_text().strip()
        current = int((root / "memory.current").read_text())
        details = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
        current -= int(details.get("inactive_file", 0))  # file pages that go when memory is asked for
    except (OSError, ValueError):
        return sys.maxsize
    return sys.maxsize if limit == "max" else max(0, int(limit) - current)


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / GB:.2f} GB"
