"""Choose the next token: mask, bias, penalties, temperature, top-k, top-p, min-p, with a random key per request.

In: logits of one position, or of one position of many rows. Out: one token id a row, still on the device. Nothing
here reads a value back to the host, and nothing touches the global random state, so requests cannot disturb each
other.

Semantics and order are those of transformers (repetition penalty, temperature, top-k, top-p, min-p); presence and
frequency penalties and the bias are OpenAI's, the former over generated tokens. mlx-lm has samplers too, but
importing them costs 1.4 s (its package imports transformers), and it cuts top-p and min-p before the temperature.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from numbers import Integral, Real
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from edge.errors import RequestError
from edge.records import dataclass


class Bounds(NamedTuple):
    """Which numbers a setting takes: low <= number <= high, or low < number if the low end is open."""

    low: float
    high: float = math.inf
    is_low_open: bool = False
    is_whole: bool = False


SAMPLING_BOUNDS: Mapping[str, Bounds] = {
    "temperature": Bounds(0.0),
    "top_p": Bounds(0.0, 1.0, is_low_open=True),
    "top_k": Bounds(0, is_whole=True),
    "min_p": Bounds(0.0, 1.0),
    "repetition_penalty": Bounds(0.0, is_low_open=True),
    "presence_penalty": Bounds(-2.0, 2.0),
    "frequency_penalty": Bounds(-2.0, 2.0),
    "seed": Bounds(0, 2**64 - 1, is_whole=True),
    "logit_bias": Bounds(-100.0, 100.0),
}
"""The one table of what sampling settings take; what the server's document says of them is made from it."""


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
        logit_bias: Token id -> what is added to its logit before the penalties, -100..100.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values of a wrong type or out of range.

        Raises:
            RequestError: Names the field, the range and the value.
        """
        for name in SAMPLING_BOUNDS:
            value = getattr(self, name)
            if name != "logit_bias" and (name != "seed" or value is not None):
                _check(name, value)
        object.__setattr__(self, "logit_bias", _checked_bias(self.logit_bias))  # a copy: the caller may change theirs

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature == 0.0

    @property
    def has_token_counts(self) -> bool:
        """Whether a penalty needs the tokens generated so far."""
        return self.repetition_penalty != 1.0 or self.presence_penalty != 0.0 or self.frequency_penalty != 0.0

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse a bias for a token that the model does not have.

        Raises:
            RequestError: Names the token.
        """
        for token_id in self.logit_bias:
            if token_id >= vocab_size:
                raise RequestError(
                    f"logit_bias: expected token ids below {vocab_size}, found {token_id}. Remove it.",
                    field="logit_bias",
                )


SamplerState = tuple[mx.array, mx.array | None]
"""The random key and the counts of generated tokens at one point of an answer."""


class Sampler:
    """One request's sampler: its parameters, its random key and the tokens it has accepted."""

    def __init__(self, params: SamplingParams, *, prompt_token_ids: np.ndarray, vocab_size: int) -> None:
        """Start a sampler.

        Args:
            params: What to do.
            prompt_token_ids: (L,) int32, for the repetition penalty.
            vocab_size: V, the width of the logits.

        Raises:
            RequestError: `logit_bias` names a token past V.
        """
        params.check_vocabulary(vocab_size)
        self.params = params
        seed = params.seed if params.seed is not None else int.from_bytes(os.urandom(8), "little")
        self._key = mx.random.key(seed)
        self._bias = _bias_row(params.logit_bias, vocab_size)
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

    @property
    def state(self) -> SamplerState:
        """Where it stands, to come back to with `restore`."""
        return self._key, self._counts

    def restore(self, state: SamplerState) -> None:
        """Go back to where it stood: tokens accepted and keys used since then never were."""
        self._key, self._counts = state

    @property
    def takes_the_best(self) -> bool:
        """Whether the token is the plain argmax of the logits, as long as no mask is given."""
        return self.params.is_greedy and self._counts is None and self._bias is None

    def sample(self, logits: mx.array, *, allowed: mx.array | None = None) -> mx.array:
        """Choose a token.

        Args:
            logits: (V,) of the last position, any float type.
            allowed: (V,) bool, at least one True; other tokens are out before anything else is done. None allows all.

        Returns:
            (1,) int32, unevaluated.
        """
        scores = logits.astype(mx.float32)  # reference samples in fp32
        if allowed is not None:
            scores = mx.where(allowed, scores, -math.inf)
        scores = self._penalize(scores if self._bias is None else scores + self._bias)
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


def sample_rows(
    samplers: Sequence[Sampler], logits: mx.array, *, allowed: Sequence[mx.array | None] | None = None
) -> mx.array:
    """Choose a token for each of many rows; each is what the row's sampler alone would choose.

    Args:
        samplers: One for each row, B of them.
        logits: (B, V) of each row's last position, any float type.
        allowed: A mask for each row as `Sampler.sample` takes it; None gives no row a mask.

    Returns:
        (B,) int32, unevaluated. All rows that take the plain best token share one argmax.
    """
    masks = allowed if allowed is not None else [None] * len(samplers)
    is_plain = [sampler.takes_the_best and mask is None for sampler, mask in zip(samplers, masks, strict=True)]
    best = mx.argmax(logits, axis=-1).astype(mx.int32) if any(is_plain) else None
    if best is not None and all(is_plain):
        return best
    tokens = [
        best[i : i + 1] if best is not None and is_plain[i] else sampler.sample(logits[i], allowed=mask)
        for i, (sampler, mask) in enumerate(zip(samplers, masks, strict=True))
    ]
    return mx.concatenate(tokens)


class TokenLogprobs(NamedTuple):
    """Natural logarithms of probabilities at one position, on the device.

    Attributes:
        chosen: (1,) float32, of the token taken.
        top_ids: (k,) int32, the most likely tokens, best first.
        top: (k,) float32, theirs.
    """

    chosen: mx.array
    top_ids: mx.array
    top: mx.array


def logprobs_of(logits: mx.array, token: mx.array, *, top: int) -> TokenLogprobs:
    """Take the logprobs of a token and of the most likely ones, before masks, biases, penalties and cuts.

    Args:
        logits: (V,) as the model gave them, any float type.
        token: (1,) int32, the token taken; may be unevaluated.
        top: How many of the most likely tokens to tell, 0 or more; V at most are told.

    Returns:
        Unevaluated arrays.
    """
    scores = logits.astype(mx.float32)
    logprobs = scores - mx.logsumexp(scores)
    count = min(top, logprobs.shape[0])
    if count == 0:
        empty = mx.zeros((0,), dtype=mx.float32)
        return TokenLogprobs(logprobs[token], empty.astype(mx.int32), empty)
    ids = mx.argpartition(-logprobs, count - 1)[:count]
    ids = ids[mx.argsort(-logprobs[ids])].astype(mx.int32)
    return TokenLogprobs(logprobs[token], ids, logprobs[ids])


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


def _bias_row(bias: Mapping[int, float], vocab_size: int) -> mx.array | None:
    """Spread the biases over (V,) float32; None where there are none."""
    if not bias:
        return None
    row = np.zeros((vocab_size,), dtype=np.float32)
    row[list(bias.keys())] = list(bias.values())
    return mx.array(row)


def _checked_bias(bias: object) -> dict[int, float]:
    """Copy a bias whose keys are token ids and whose values lie within -100..100."""
    name = "logit_bias"
    if not isinstance(bias, Mapping):
        raise RequestError(
            f"{name}: expected a mapping from token ids to numbers, found {_shown(bias)}. Change it.", field=name
        )
    for token_id, value in bias.items():
        if isinstance(token_id, bool) or not isinstance(token_id, Integral) or token_id < 0:
            raise RequestError(
                f"{name}: expected token ids as whole numbers of at least 0, found {_shown(token_id)}. Change it.",
                field=name,
            )
        _check(name, value, of="logit_bias")
    return {int(token_id): float(value) for token_id, value in bias.items()}


def _check(name: str, value: object, *, of: str | None = None) -> None:
    """Refuse what is no number within a setting's bounds, NaN and truth values included."""
    low, high, is_low_open, is_whole = SAMPLING_BOUNDS[of or name]
    if isinstance(value, Integral if is_whole else Real) and not isinstance(value, bool | np.bool_):
        number: Any = value  # Any: mypy knows no order between Real and float
        is_above = number > low if is_low_open else number >= low
        if is_above and number <= high and math.isfinite(number):
            return
    limits = f"{'over' if is_low_open else 'at least'} {low:g}" + ("" if high == math.inf else f" and at most {high:g}")
    kind = "a whole number" if is_whole else "a number"
    raise RequestError(f"{name}: expected {kind} {limits}, found {_shown(value)}. Change it.", field=name)


def _shown(value: object) -> str:
    """Write a wrong value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
