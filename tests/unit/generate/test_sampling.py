from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest

from edge.errors import RequestError
from edge.generate.sampling import Sampler, SamplingParams

VOCAB = 40
NO_PROMPT = np.zeros((0,), dtype=np.int32)


def random_logits(seed: int = 0) -> mx.array:
    return mx.random.normal((VOCAB,), key=mx.random.key(seed)) * 2


def drawn(sampler: Sampler, logits: mx.array) -> int:
    return int(np.array(sampler.sample(logits))[0])


def draws(params: SamplingParams, *, count: int = 400, prompt: np.ndarray = NO_PROMPT) -> list[int]:
    sampler = Sampler(params, prompt_token_ids=prompt, vocab_size=VOCAB)
    logits = random_logits()
    return [drawn(sampler, logits) for _ in range(count)]


def best(count: int) -> list[int]:
    return [int(i) for i in np.argsort(-np.array(random_logits()))[:count]]


def test_temperature_zero_takes_the_most_likely_token() -> None:
    assert set(draws(SamplingParams(temperature=0.0), count=3)) == set(best(1))


def test_top_k_keeps_the_k_best_tokens() -> None:
    assert set(draws(SamplingParams(temperature=5.0, top_k=3))) == set(best(3))


def test_top_k_larger_than_the_vocabulary_keeps_all() -> None:
    assert len(set(draws(SamplingParams(temperature=100.0, top_k=VOCAB + 5)))) > VOCAB // 2


@pytest.mark.parametrize("top_p", [0.05, 0.3, 0.8, 0.99])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_top_p_keeps_the_smallest_set_that_reaches_the_mass(top_p: float, temperature: float) -> None:
    probabilities = np.array(mx.softmax(random_logits() / temperature), dtype=np.float64)
    order = np.argsort(-probabilities)
    kept = int(np.searchsorted(np.cumsum(probabilities[order]), top_p)) + 1
    found = set(draws(SamplingParams(temperature=temperature, top_p=top_p), count=1500))
    assert found <= {int(i) for i in order[:kept]}
    assert int(order[0]) in found


def test_min_p_drops_tokens_below_the_share_of_the_best() -> None:
    probabilities = np.array(mx.softmax(random_logits()))
    allowed = {int(i) for i in np.flatnonzero(probabilities >= 0.2 * probabilities.max())}
    assert set(draws(SamplingParams(min_p=0.2), count=1500)) == allowed


def test_frequencies_follow_the_probabilities() -> None:
    probabilities = np.array(mx.softmax(random_logits()))
    counts = np.bincount(draws(SamplingParams(seed=1), count=4000), minlength=VOCAB) / 4000
    assert np.abs(counts - probabilities).max() < 0.03


def test_same_seed_gives_same_tokens_and_another_seed_others() -> None:
    first = draws(SamplingParams(seed=7), count=30)
    assert first == draws(SamplingParams(seed=7), count=30)
    assert first != draws(SamplingParams(seed=8), count=30)


def test_each_request_keeps_its_own_settings_and_seed_peers_10() -> None:
    warm, cold = SamplingParams(temperature=1.5, seed=3), SamplingParams(temperature=0.0)
    alone = draws(warm, count=20)
    logits = random_logits()
    a = Sampler(warm, prompt_token_ids=NO_PROMPT, vocab_size=VOCAB)
    b = Sampler(cold, prompt_token_ids=NO_PROMPT, vocab_size=VOCAB)
    mixed = []
    for _ in range(20):
        mixed.append(drawn(a, logits))
        assert drawn(b, logits) == best(1)[0]
        mx.random.seed(5)
    assert mixed == alone


def penalized(params: SamplingParams, prompt: list[int], generated: list[int]) -> np.ndarray:
    sampler = Sampler(params, prompt_token_ids=np.array(prompt, dtype=np.int32), vocab_size=VOCAB)
    for token in generated:
        sampler.accept(mx.array([token]))
    return np.array(sampler._penalize(random_logits()))


def test_repetition_penalty_counts_prompt_and_answer_once() -> None:
    expected = np.array(random_logits())
    for token in (2, 5, 9):
        expected[token] = expected[token] * 1.3 if expected[token] < 0 else expected[token] / 1.3
    found = penalized(SamplingParams(repetition_penalty=1.3), prompt=[2, 5, 5], generated=[9, 9, 2])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_presence_and_frequency_count_the_answer_only() -> None:
    expected = np.array(random_logits())
    expected[9] -= 0.5 + 2 * 0.25
    expected[3] -= 0.5 + 0.25
    params = SamplingParams(presence_penalty=0.5, frequency_penalty=0.25)
    np.testing.assert_allclose(penalized(params, prompt=[2, 5], generated=[9, 3, 9]), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_k", -1),
        ("min_p", 1.5),
        ("repetition_penalty", 0.0),
        ("presence_penalty", 2.5),
        ("frequency_penalty", -3.0),
        ("seed", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(RequestError, match=field):
        SamplingParams(**{field: value})  # type: ignore[arg-type]  # one field at a time
