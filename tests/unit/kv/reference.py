"""Attention in numpy (float64), to hold every memory against, and deterministic keys, values and queries."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

KV_HEADS, HEADS = 2, 6


def random_tokens(count: int, *, seed: int, heads: int = KV_HEADS, head_dim: int = 64) -> mx.array:
    """Return (1, heads, count, head_dim) normal numbers."""
    return mx.random.normal((1, heads, count, head_dim), key=mx.random.key(seed))


def random_pairs(count: int, *, seed: int, head_dim: int = 64) -> mx.array:
    """Return keys (of `seed`) with values (of `seed` + 100) behind them, (1, 2 * KV_HEADS, count, head_dim)."""
    parts = [random_tokens(count, seed=seed + more, head_dim=head_dim) for more in (0, 100)]
    return mx.concatenate(parts, axis=1)


def numpy_attention(
    queries: mx.array, keys: mx.array, values: mx.array, *, scale: float, is_causal: bool = True
) -> np.ndarray:
    """Attend head by head in float64; the queries are the newest tokens."""
    q, k, v = (np.array(array, dtype=np.float64)[0] for array in (queries, keys, values))
    per_head = q.shape[0] // k.shape[0]
    k, v = np.repeat(k, per_head, axis=0), np.repeat(v, per_head, axis=0)
    scores = scale * q @ k.transpose(0, 2, 1)  # (H, L, S)
    if is_causal:
        num_new, num_all = scores.shape[1:]
        is_hidden = np.arange(num_all) > np.arange(num_all - num_new, num_all)[:, None]
        scores = np.where(is_hidden, -np.inf, scores)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray((weights / weights.sum(axis=-1, keepdims=True)) @ v)[None]


def relative_error(got: mx.array, expected: np.ndarray) -> float:
    """Return |a - b| / |b|."""
    return float(np.linalg.norm(np.array(got, dtype=np.float64) - expected) / np.linalg.norm(expected))
