"""The distribution a token is drawn from equals that of transformers' logits processors, and OpenAI's penalties."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from edge.run.sample import Sampler, SamplingParams, _candidates

VOCAB = 200
PROMPT, GENERATED = [3, 9, 9, 44], [7, 9, 120]
LOGITS = np.random.default_rng(4).normal(size=VOCAB).astype(np.float32) * 3


def reference_probabilities(params: SamplingParams) -> np.ndarray:
    """In the order transformers 5.23 builds them: GenerationMixin._get_logits_processor."""
    steps = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(params.repetition_penalty)])
    steps.append(TemperatureLogitsWarper(params.temperature))
    if params.top_k:
        steps.append(TopKLogitsWarper(params.top_k))
    steps.append(TopPLogitsWarper(params.top_p))
    if params.min_p:
        steps.append(MinPLogitsWarper(params.min_p))
    scores = steps(torch.LongTensor([PROMPT + GENERATED]), torch.FloatTensor(LOGITS[None]))
    return scores.softmax(dim=-1)[0].numpy()


def our_probabilities(params: SamplingParams, *, cuts_before_temperature: bool = False) -> np.ndarray:
    sampler = Sampler(params, prompt_token_ids=np.array(PROMPT, dtype=np.int32), vocab_size=VOCAB)
    for token in GENERATED:
        sampler.accept(mx.array([token]))
    penalized = sampler._penalize(mx.array(LOGITS))
    if cuts_before_temperature:
        scores, token_ids = _candidates(penalized, params)
        scores = scores / params.temperature
    else:
        scores, token_ids = _candidates(penalized / params.temperature, params)
    found = np.zeros(VOCAB)
    found[slice(None) if token_ids is None else np.array(token_ids)] = np.array(mx.softmax(scores))
    return found


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.7])
@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"), [(0, 1.0, 0.0), (20, 0.95, 0.0), (0, 0.8, 0.0), (7, 0.5, 0.1), (0, 1.0, 0.05)]
)
@pytest.mark.parametrize("repetition_penalty", [1.0, 1.3, 0.7])
def test_probabilities_equal_transformers(
    temperature: float, top_k: int, top_p: float, min_p: float, repetition_penalty: float
) -> None:
    params = SamplingParams(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty
    )
    expected = reference_probabilities(params)
    found = our_probabilities(params)
    assert ((found > 0) == (expected > 0)).all()
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-8)


def test_cuts_before_the_temperature_are_told_apart() -> None:
    params = SamplingParams(temperature=1.7, top_p=0.8)
    mutant = our_probabilities(params, cuts_before_temperature=True)
    assert np.abs(mutant - reference_probabilities(params)).max() > 1e-2
