from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest

from edge.errors import RequestError
from edge.run.sample import Sampler, SamplingParams, logprobs_of, sample_rows

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


def test_each_request_keeps_its_own_settings_and_seed() -> None:
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
        ("temperature", "1"),
        ("temperature", True),
        ("temperature", None),
        ("top_p", [0.5]),
        ("top_k", 5.0),
        ("top_k", False),
        ("seed", "7"),
        ("seed", True),
        ("presence_penalty", "a" * 5000),
        ("logit_bias", [(1, 2.0)]),
        ("logit_bias", {"1": 2.0}),
        ("logit_bias", {True: 2.0}),
        ("logit_bias", {-1: 2.0}),
        ("logit_bias", {1: 101}),
        ("logit_bias", {1: "2"}),
        ("logit_bias", {1: math.nan}),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(RequestError, match=rf"^{field}: expected [^\n]{{1,200}}$") as caught:
        SamplingParams(**{field: value})  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.field == field


def test_numbers_of_numpy_are_numbers() -> None:
    params = SamplingParams(temperature=np.float32(0.5), top_k=np.int64(3), seed=np.uint32(1))  # type: ignore[arg-type]
    assert set(draws(params, count=50)) <= set(best(3))


def test_a_mask_rules_before_everything_else() -> None:
    allowed = np.zeros((VOCAB,), dtype=np.bool_)
    allowed[best(10)[5:]] = True
    sampler = Sampler(SamplingParams(temperature=2.0, top_k=3), prompt_token_ids=NO_PROMPT, vocab_size=VOCAB)
    logits, mask = random_logits(), mx.array(allowed)
    found = {int(np.array(sampler.sample(logits, allowed=mask))[0]) for _ in range(300)}
    assert found == set(best(10)[5:8])


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0.0),
        SamplingParams(temperature=0.0, repetition_penalty=2.0, logit_bias={3: 100.0}),
        SamplingParams(temperature=50.0),
        SamplingParams(temperature=50.0, top_k=30),
        SamplingParams(temperature=50.0, top_p=0.99, min_p=0.01),
        SamplingParams(temperature=50.0, presence_penalty=-2.0, logit_bias={0: 100.0, 3: 100.0}),
    ],
)
def test_a_token_that_is_not_allowed_never_comes(params: SamplingParams) -> None:
    allowed = np.zeros((VOCAB,), dtype=np.bool_)
    allowed[best(VOCAB)[-2:]] = True
    sampler = Sampler(params, prompt_token_ids=np.array(best(3), dtype=np.int32), vocab_size=VOCAB)
    for _ in range(100):
        token = sampler.sample(random_logits(), allowed=mx.array(allowed))
        sampler.accept(token)
        assert allowed[np.array(token)[0]]


def test_a_bias_is_added_to_the_logits() -> None:
    wanted = best(VOCAB)[-1]
    assert set(draws(SamplingParams(temperature=0.0, logit_bias={wanted: 100.0}), count=3)) == {wanted}
    assert best(1)[0] not in draws(SamplingParams(logit_bias={best(1)[0]: -100.0}))


def test_a_bias_is_a_copy_and_knows_the_vocabulary() -> None:
    given = {VOCAB: 1.0}
    params = SamplingParams(logit_bias=given)
    given.clear()
    with pytest.raises(RequestError, match=f"^logit_bias: expected token ids below {VOCAB}, found {VOCAB}") as caught:
        Sampler(params, prompt_token_ids=NO_PROMPT, vocab_size=VOCAB)
    assert caught.value.field == "logit_bias"


MIXED = [
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=0.9, seed=1, top_k=7),
    SamplingParams(temperature=0.0, repetition_penalty=1.5),
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=1.4, seed=2, top_p=0.8),
    SamplingParams(temperature=0.0, logit_bias={4: 3.0}),
]


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
@pytest.mark.parametrize("params", [MIXED, [SamplingParams(temperature=0.0)] * 4, MIXED[1:3], MIXED[:1]])
@pytest.mark.parametrize("has_masks", [False, True])
def test_each_of_many_rows_gets_the_token_of_its_single_run(
    params: list[SamplingParams], dtype: mx.Dtype, has_masks: bool
) -> None:
    alone = [Sampler(p, prompt_token_ids=np.array([2, 4], dtype=np.int32), vocab_size=VOCAB) for p in params]
    joined = [Sampler(p, prompt_token_ids=np.array([2, 4], dtype=np.int32), vocab_size=VOCAB) for p in params]
    for step in range(20):
        # Halves make ties, which both must break alike.
        logits = (mx.random.normal((len(params), VOCAB), key=mx.random.key(step)) * 4).round() / 2
        logits = logits.astype(dtype)
        mask = mx.random.bernoulli(0.5, (VOCAB,), key=mx.random.key(100 + step))
        masks = [mask if has_masks and i % 2 else None for i in range(len(params))]
        expected = [drawn_with(s, logits[i], masks[i]) for i, s in enumerate(alone)]
        found = sample_rows(joined, logits, allowed=masks)
        for i, sampler in enumerate(joined):
            sampler.accept(found[i : i + 1])
        assert found.dtype == mx.int32
        assert found.tolist() == expected


def drawn_with(sampler: Sampler, logits: mx.array, mask: mx.array | None) -> int:
    token = sampler.sample(logits, allowed=mask)
    sampler.accept(token)
    return int(np.array(token)[0])


@pytest.mark.parametrize("top", [0, 1, 5, VOCAB, VOCAB + 3])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_logprobs_are_the_log_softmax_of_the_raw_logits(top: int, dtype: mx.Dtype) -> None:
    logits = random_logits().astype(dtype)
    exact = np.array(logits.astype(mx.float32), dtype=np.float64)
    exact -= np.log(np.exp(exact).sum())
    found = logprobs_of(logits, mx.array([7], dtype=mx.int32), top=top)
    np.testing.assert_allclose(np.array(found.chosen), exact[[7]], rtol=1e-6)
    assert found.top_ids.shape == found.top.shape == (min(top, VOCAB),)
    np.testing.assert_allclose(np.array(found.top), np.sort(exact)[::-1][:top], rtol=1e-6)
    np.testing.assert_allclose(exact[np.array(found.top_ids)], np.array(found.top), rtol=1e-6)


def test_nothing_is_read_back_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("waited for the device")

    samplers = [Sampler(p, prompt_token_ids=NO_PROMPT, vocab_size=VOCAB) for p in MIXED]
    logits = mx.stack([random_logits(i) for i in range(len(MIXED))])
    for name in ("eval", "async_eval", "synchronize"):
        monkeypatch.setattr(mx, name, fail)
    for name in ("item", "tolist", "__array__", "__bool__", "__int__", "__float__", "__index__", "__buffer__"):
        if hasattr(mx.array, name):
            monkeypatch.setattr(mx.array, name, fail)
    tokens = sample_rows(samplers, logits, allowed=[mx.ones((VOCAB,), dtype=mx.bool_)] * len(MIXED))
    samplers[1].accept(tokens[1:2])
    logprobs_of(logits[0], tokens[:1], top=3)
