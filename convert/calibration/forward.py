"""Pass all prompts through one decoder layer, and collect what its matrices see.

In: the states of all prompts, one after another (T, D), and the layer's weights as they are read. Out: the states
behind the layer, and the arrays of the layer's file (see `file`). Memory holds a few times the states
and a few experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.calibration.arithmetic import rms_norm, rms_norm_back
from convert.calibration.attention import AttentionSide
from convert.calibration.experts import MiddleMoments, Routing, route_tokens, run_experts
from convert.calibration.moments import Floats, pack_triangle, triangle_size
from convert.calibration.sites import ATTENTION, MIDDLE, MIXED, MLP
from convert.calibration.weights import LayerWeights
from convert.verify.samples import Sample
from edge.config import TextConfig
from edge.model.rope import Rope, make_rope

Arrays = dict[str, NDArray[Any]]  # Any: float32, bits and numbers
_ROWS_AT_ONCE = 4096


class LayerPass:
    """One layer, ready to run."""

    def __init__(self, weights: LayerWeights, text: TextConfig) -> None:
        """Read the attention side and the router."""
        others = weights.others()
        self.weights = weights
        self.attention = AttentionSide(text, others)
        self.router = others.get("mlp.gate.weight")
        self._norm = others["post_attention_layernorm.weight"]
        self._text = text

    def normed(self, hidden: Floats) -> Floats:
        """Return what the feed-forward side sees."""
        return rms_norm(hidden, self._norm, self._text.rms_norm_eps)

    def normed_back(self, hidden: Floats, back: Floats) -> Floats:
        """Bring a gradient back through `normed`."""
        return rms_norm_back(hidden, self._norm, self._text.rms_norm_eps, back)

    def route(self, rows: Floats) -> Routing:
        """Send tokens (T, D) to experts."""
        moe = self._text.moe
        return route_tokens(rows, self.router, moe.experts_per_token if moe else 1)

    def attend(self, hidden: Floats, samples: Sequence[Sample]) -> tuple[Floats, Floats, Arrays]:
        """Run the attention side on all prompts.

        Args:
            hidden: States (T, D).
            samples: The prompts that they belong to, in order.

        Returns:
            The states behind it, what the feed-forward side sees, and the moments of q, k, v and of o.
        """
        behind = np.empty_like(hidden)
        rows = np.empty_like(hidden)
        sums: dict[str, Floats] = {}
        for place, rope in prompts_of(samples, self._text):
            attended = self.attention.attend(hidden[place], rope)
            for key, seen in ((ATTENTION, attended.seen), (MIXED, attended.mixed)):
                square = seen.T @ seen
                if key in sums:
                    sums[key] += square
                else:
                    sums[key] = square
            behind[place], rows[place] = attended.hidden, self.normed(attended.hidden)
        arrays: Arrays = {}
        for key, total in sums.items():
            arrays[f"{key}.matrix"] = pack_triangle(total / np.float32(len(hidden)))
            arrays[f"{key}.counts"] = np.array([len(hidden)], np.int64)
        return behind, rows, arrays

    def run(self, hidden: Floats, samples: Sequence[Sample]) -> tuple[Floats, Arrays]:
        """Run the layer on all prompts; return the states behind it (before DeepStack) and its file's arrays."""
        behind, rows, arrays = self.attend(hidden, samples)
        routing = self.route(rows)
        is_sparse = self.router is not None
        moments = MiddleMoments(routing.scores.shape[1] if is_sparse else 1, self.weights.middle_width)
        behind += run_experts(rows, routing, self.weights.experts(), moments)
        arrays[f"{MIDDLE}.{'matrices' if is_sparse else 'matrix'}"] = (
            moments.matrices if is_sparse else moments.matrices[0]
        )
        arrays[f"{MIDDLE}.counts"] = moments.counts
        return behind, arrays | _mlp_arrays(rows, routing, is_sparse=is_sparse)


def prompts_of(samples: Sequence[Sample], text: TextConfig) -> Iterator[tuple[slice, Rope]]:
    """Yield for each prompt its rows among those of all, and its positions."""
    start = 0
    for sample in samples:
        place = slice(start, start + sample.length)
        yield place, make_rope(sample.prompt.positions[:, None], config=text.rope, head_dim=text.head_dim)
        start = place.stop


def _mlp_arrays(rows: Floats, routing: Routing, *, is_sparse: bool) -> Arrays:
    """Keep what gate and up see: the rows themselves, or a matrix per expert, whichever is smaller."""
    arrays: Arrays = {f"{MLP}.matrix": pack_triangle(_mean_square(rows))}
    if not is_sparse:
        return arrays | {f"{MLP}.counts": np.array([len(rows)], np.int64)}
    num_experts = routing.scores.shape[1]
    arrays[f"{MLP}.counts"] = np.bincount(routing.experts.ravel(), minlength=num_experts).astype(np.int64)
    if keeps_rows(num_tokens=len(rows), width=rows.shape[1], num_experts=num_experts):
        arrays[f"{MLP}.rows"] = _bfloat16_bits(rows)
        arrays[f"{MLP}.experts"] = routing.experts.astype(np.int16)
        return arrays
    matrices = np.empty((num_experts, triangle_size(rows.shape[1])), np.float32)
    for expert in range(num_experts):
        matrices[expert] = pack_triangle(_mean_square(rows[routing.of(expert)[0]]))
    return arrays | {f"{MLP}.matrices": matrices}


def keeps_rows(*, num_tokens: int, width: int, num_experts: int) -> bool:
    """Tell whether the inputs themselves take less room than a matrix per expert."""
    return num_tokens * width * 2 < num_experts * triangle_size(width) * 4


def _mean_square(rows: Floats) -> Floats:
    total = np.zeros((rows.shape[1], rows.shape[1]), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        total += part.T @ part
    return total / np.float32(max(1, len(rows)))


def _bfloat16_bits(rows: Floats) -> NDArray[np.uint16]:
    """Round to the nearest bfloat16, ties to even, and return its bits."""
    bits = rows.view(np.uint32)
    odd = (bits >> 16) & np.uint32(1)
    rounded: NDArray[np.uint16] = ((bits + odd + np.uint32(0x7FFF)) >> 16).astype(np.uint16)
    return rounded
