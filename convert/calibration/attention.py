"""The attention side of a decoder layer, in steps: what its matrices see, and the way back of a gradient.

In: a layer's parameters and the states of one prompt (L, D). Out: the inputs of q, k, v and of o, the states behind
them, and on the way back the gradients of the matrices as factors. Norms and rotation of the heads are the runtime's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from convert.calibration.arithmetic import rms_norm, rms_norm_back, softmax, softmax_back
from convert.calibration.moments import Floats
from edge.config import TextConfig
from edge.model.rope import Rope, attention_scale, turn_heads, weight_halves

Gradient = tuple[Floats, Floats]  # of a matrix: what came back to its outputs (L, out), and its inputs (L, in)


@dataclass(frozen=True, slots=True)
class Attended:
    """One prompt behind the attention: inputs of q, k, v (L, D), of o (L, H * Dh), and the new states (L, D)."""

    seen: Floats
    mixed: Floats
    hidden: Floats


class AttentionSide:
    """Norm, attention and residual of one layer."""

    def __init__(self, config: TextConfig, weights: Mapping[str, Floats]) -> None:
        """Join the parts that files keep apart.

        Args:
            config: The decoder.
            weights: As `LayerWeights.others` gives them.
        """
        self._config = config
        self._norm = weights["input_layernorm.weight"]
        self._out = weights["self_attn.o_proj.weight"]
        self._qkv = np.concatenate([weights[f"self_attn.{name}_proj.weight"] for name in ("q", "k", "v")])
        counts = ((config.num_heads, "q"), (config.num_kv_heads, "k"))
        rows = [np.tile(weights[f"self_attn.{name}_norm.weight"], (count, 1)) for count, name in counts]
        self._head_norm = weight_halves(mx.array(np.concatenate(rows)))  # of (H + K, Dh)
        self._scale = np.float32(attention_scale(config.rope, config.head_dim))

    def attend(self, hidden: Floats, rope: Rope) -> Attended:
        """Run the side on one prompt (L, D)."""
        seen = self.normed(hidden)
        queries, keys, values = self._split(seen @ self._qkv.T)
        rotated = self._rotate(np.concatenate([queries, keys]), rope)
        mixed = np.empty((len(hidden), self._config.num_heads, self._config.head_dim), np.float32)
        for group, place in self._groups():
            chances = self._chances(rotated[place], rotated[self._config.num_heads + group])
            mixed[:, place] = (chances @ values[group]).transpose(1, 0, 2)
        flat = mixed.reshape(len(hidden), -1)
        return Attended(seen, flat, hidden + flat @ self._out.T)

    def normed(self, hidden: Floats) -> Floats:
        """Return what q, k and v see."""
        return rms_norm(hidden, self._norm, self._config.rms_norm_eps)

    def turn_back(
        self, hidden: Floats, attended: Attended, rope: Rope, cotangent: Floats
    ) -> tuple[Floats, dict[str, Gradient]]:
        """Bring a gradient from behind the attention to the states before it.

        Args:
            hidden: The states before (L, D).
            attended: What `attend` made of them.
            rope: Positions.
            cotangent: Gradient of the loss by the states behind (L, D).

        Returns:
            The gradient before (L, D), and that of every matrix.
        """
        back = self._mix_back(attended.seen @ self._qkv.T, rope, cotangent @ self._out)
        before = rms_norm_back(hidden, self._norm, self._config.rms_norm_eps, back @ self._qkv)
        config = self._config
        queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        parts = np.split(back, [queries, queries + keys], axis=-1)
        gradients: dict[str, Gradient] = {
            f"self_attn.{name}_proj": (part, attended.seen) for name, part in zip(("q", "k", "v"), parts, strict=True)
        }
        gradients["self_attn.o_proj"] = (cotangent, attended.mixed)
        return cotangent + before, gradients

    def _mix_back(self, projected: Floats, rope: Rope, back: Floats) -> Floats:
        """Bring the gradient of what o sees (L, H * Dh) to the projections (L, out)."""
        config = self._config
        queries, keys, values = self._split(projected)
        heads = np.concatenate([queries, keys])
        rotated = self._rotate(heads, rope)
        own = back.reshape(len(back), config.num_heads, config.head_dim).transpose(1, 0, 2)
        rotated_back, values_back = np.zeros_like(rotated), np.zeros_like(values)
        for group, place in self._groups():
            key = config.num_heads + group
            chances = self._chances(rotated[place], rotated[key])
            values_back[group] = (chances.transpose(0, 2, 1) @ own[place]).sum(axis=0)
            scores_back = softmax_back(chances, own[place] @ values[group].T) * self._scale
            rotated_back[place] = scores_back @ rotated[key]
            rotated_back[key] = (scores_back.transpose(0, 2, 1) @ rotated[place]).sum(axis=0)
        _, (heads_back,) = mx.vjp(
            lambda rows: self._norm_and_turn(rows, rope), [mx.array(heads)], [mx.array(rotated_back)]
        )
        together = np.concatenate([np.array(heads_back), values_back])  # (H + 2K, L, Dh)
        return np.ascontiguousarray(together.transpose(1, 0, 2)).reshape(len(back), -1)

    def _split(self, projected: Floats) -> tuple[Floats, Floats, Floats]:
        """Return queries (H, L, Dh), keys and values (K, L, Dh)."""
        config = self._config
        heads = projected.reshape(len(projected), -1, config.head_dim).transpose(1, 0, 2)
        num_rotated = config.num_heads + config.num_kv_heads
        return heads[: config.num_heads], heads[config.num_heads : num_rotated], heads[num_rotated:]

    def _groups(self) -> list[tuple[int, slice]]:
        """Return every key head with the query heads that share it."""
        count = self._config.num_heads // self._config.num_kv_heads
        return [(group, slice(group * count, (group + 1) * count)) for group in range(self._config.num_kv_heads)]

    def _chances(self, queries: Floats, keys: Floats) -> Floats:
        """Return what each token takes from those before it (heads, L, L)."""
        scores = (queries @ keys.T) * self._scale
        scores[:, np.triu(np.ones(scores.shape[1:], np.bool_), 1)] = -np.inf
        return softmax(scores)

    def _rotate(self, heads: Floats, rope: Rope) -> Floats:
        return np.array(self._norm_and_turn(mx.array(heads), rope))

    def _norm_and_turn(self, heads: mx.array, rope: Rope) -> mx.array:
        normed = mx.fast.rms_norm(heads, None, self._config.rms_norm_eps)
        return turn_heads(rope, normed[None], weights=self._head_norm, raw=heads[None], num_turned=len(heads))[0]
