"""Greedy answers to prompts with pictures equal the reference's `generate`, however they are computed."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from edge.cache.kv import make_cache
from edge.generate.sampling import Sampler, SamplingParams
from edge.generate.step import Generation
from edge.prompt.build import Prompt
from tests.parity.cases import Case, Picture, encode, make_case, reference_inputs
from tests.parity.reference import KINDS, Kind, loaded_model, reference_model

GREEDY = SamplingParams(temperature=0.0)
NUM_TOKENS = 16
CASES = {
    "text": make_case(9),
    "picture": make_case(3, Picture((1, 6, 4), seed=1), 5),
    "two pictures": make_case(2, Picture((1, 4, 6), seed=1), 4, Picture((1, 8, 6), seed=2), 3, seed=1),
    "video": make_case(4, Picture((3, 4, 6), seed=3), 5, seed=2),
    "picture and video": make_case(2, Picture((2, 6, 4), seed=4), 3, Picture((1, 4, 8), seed=5), 6, seed=3),
}


@cache
def reference_tokens(kind: Kind, name: str) -> list[int]:
    """Tokens of the reference's own `generate`."""
    model, case = reference_model(kind), CASES[name]
    model.model.rope_deltas = None
    with torch.no_grad():
        found = model.generate(
            **reference_inputs(case), do_sample=False, max_new_tokens=NUM_TOKENS, eos_token_id=None, pad_token_id=0
        )
    return [int(token) for token in found[0, case.length :]]


def prompt_of(case: Case) -> Prompt:
    return Prompt(text="", token_ids=case.token_ids, positions=case.positions, spans=case.spans, media=())


def our_tokens(kind: Kind, case: Case, *, chunk_tokens: int) -> list[int]:
    model = loaded_model(kind)
    sampler = Sampler(GREEDY, prompt_token_ids=case.token_ids, vocab_size=model.config.text.vocab_size)
    cache = make_cache(model.config.text)
    generation = Generation(model, prompt_of(case), cache=cache, num_cached=0, sampler=sampler)
    list(generation.prefill(encode(model, case.media), chunk_tokens=chunk_tokens))
    return [generation.next_token() for _ in range(NUM_TOKENS)]


@pytest.mark.parametrize("chunk_tokens", [7, 1000])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_tokens_equal_the_references_generate(kind: Kind, name: str, chunk_tokens: int) -> None:
    assert our_tokens(kind, CASES[name], chunk_tokens=chunk_tokens) == reference_tokens(kind, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_changes_the_answer(kind: Kind) -> None:
    """Guards the tests above: a model that ignored pictures would not pass them by chance."""
    other = make_case(3, Picture((1, 6, 4), seed=9), 5)
    assert our_tokens(kind, other, chunk_tokens=1000) != reference_tokens(kind, "picture")
