"""Choose the next token: penalties, temperature, top-k, top-p, min-p, with a random key per request.

In: logits of one position. Out: one token id, still on the device. Nothing here reads a value back to the host,
and nothing touches the global random state, so requests cannot disturb each other (PEERS 10).

Semantics and order are those of transformers (repetition penalty, temperature, top-k, top-p, min-p); presence and
frequency penalties are OpenAI's, over generated tokens. mlx-lm has samplers too, but importing them costs 1.4 s
(its package imports transformers), and it cuts top-p and min-p before the temperature.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from edge.errors import RequestError


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen.

    Attributes:
        temperature: 0 is greedy; otherwise logits are divided by it.
        top_p: Keep the smallest set of tokens whose probabilities sum to this, 0 < top_p <= 1.
        top_k: Keep this many tokens; 0 keeps all.
        min_p: Drop tokens below this share of the best one's probability, 0 <= min_p <= 1.
        repetition_penalty: Over 1 makes tokens of the prompt and the answer less likely; 1 is off.
        presence_penalty: Subtracted once from tokens already generated, -2..2.
        frequency_penalty: Subtracted per earlier occurrence among the generated tokens, -2..2.
        seed: Same seed, same tokens; None draws one.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            RequestError: Names the field, the range and the value.
        """
        _check("temperature", self.temperature, low=0.0)
        _check("top_p", self.top_p, low=0.0, high=1.0, is_low_open=True)
        _check("top_k", self.top_k, low=0)
        _check("min_p", self.min_p, low=0.0, high=1.0)
        _check("repetition_penalty", self.repetition_penalty, low=0.0, is_low_open=True)
        _check("presence_penalty", self.presence_penalty, low=-2.0, high=2.0)
        _check("frequency_penalty", self.frequency_penalty, low=-2.0, high=2.0)
        if self.seed is not None:
            _check("seed", self.seed, low=0, high=2**64 - 1)

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature == 0.0

    @property
    def has_token_counts(self) -> bool:
        """Whether a penalty needs the tokens generated so far."""
        return self.repetition_penalty != 1.0 or self.presence_penalty != 0.0 or self.frequency_penalty != 0.0


class Sampler:
    """One request's sampler: its parameters, its random key and the tokens it has accepted."""

    def __init__(self, params: SamplingParams, *, prompt_token_ids: np.ndarray, vocab_size: int) -> None:
        """Start a sampler.

        Args:
            params: What to do.
            prompt_token_ids: (L,) int32, for the repetition penalty.
            vocab_size: V, the width of the logits.
        """
        self.params = params
        seed = params.seed if params.seed is not None else int.from_bytes(os.urandom(8), "little")
        self._key = mx.random.key(seed)
        self._counts: mx.array | None = None
        self._in_prompt: mx.array | None = None
        if params.has_token_counts:
            self._counts = mx.zeros((vocab_size,), dtype=mx.int32)
            seen = np.zeros((vocab_size,), dtype=np.bool_)
            seen[prompt_token_ids] = True
            self._in_prompt = mx.array(seen)

    def accept(self, token: mx.array) -> None:
        """Count a token that became part of the answer; (1,) int32, may be unevaluated."""
        if self._counts is not None:
            self._counts = self._counts.at[token].add(1)

    def sample(self, logits: mx.array) -> mx.array:
        """Choose a token.

        Args:
            logits: (V,) of the last position, any float type.

        Returns:
            (1,) int32, unevaluated.
        """
        scores = self._penalize(logits.astype(mx.float32))  # reference samples in fp32
        if self.params.is_greedy:
            return mx.argmax(scores, keepdims=True).astype(mx.int32)
        scores, token_ids = _candidates(scores / self.params.temperature, self.params)
        self._key, key = mx.random.split(self._key)
        choice = mx.random.categorical(scores[None], key=key)  # (1,)
        return choice.astype(mx.int32) if token_ids is None else token_ids[choice].astype(mx.int32)

    def _penalize(self, scores: mx.array) -> mx.array:
        params = self.params
        if self._counts is None or self._in_prompt is None:
            return scores
        is_generated = self._counts > 0
        if params.repetition_penalty != 1.0:
            penalized = mx.where(scores < 0, scores * params.repetition_penalty, scores / params.repetition_penalty)
            scores = mx.where(is_generated | self._in_prompt, penalized, scores)
        return scores - params.presence_penalty * is_generated - params.frequency_penalty * self._counts


def _candidates(scores: mx.array, params: SamplingParams) -> tuple[mx.array, mx.array | None]:
    """Cut (V,) scores by top-k, top-p, min-p: kept scores (dropped ones -inf) and their token ids, None for 0..V-1."""
    vocab_size = scores.shape[0]
    token_ids = None
    if 0 < params.top_k < vocab_size:
        token_ids = mx.argpartition(-scores, params.top_k - 1)[: params.top_k]
    elif params.top_p < 1.0:
        token_ids = mx.arange(vocab_size)
    if token_ids is not None:
        token_ids = token_ids[mx.argsort(-scores[token_ids])]
        scores = scores[token_ids]  # descending
    if params.top_p < 1.0:
        probabilities = mx.softmax(scores)
        before = mx.cumsum(probabilities) - probabilities
        is_dropped = before >= params.top_p
        is_dropped = is_dropped & (mx.arange(scores.shape[0]) > 0)  # the best token always stays
        scores = mx.where(is_dropped, -math.inf, scores)
    if params.min_p > 0.0:
        scores = mx.where(scores < mx.max(scores) + math.log(params.min_p), -math.inf, scores)
    return scores, token_ids


def _check(name: str, value: float, *, low: float, high: float = math.inf, is_low_open: bool = False) -> None:
    """Refuse a number outside [low, high] (or (low, high]), NaN included."""
    is_above = value > low if is_low_open else value >= low
    if not (is_above and value <= high and math.isfinite(value)):
        limits = f"{'over' if is_low_open else 'at least'} {low:g}" + (
            "" if high == math.inf else f" and at most {high:g}"
        )
        raise RequestError(f"{name}: expected a number {limits}, found {value}. Change it.")
