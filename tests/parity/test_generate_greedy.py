"""Greedy answers of the engine's loop equal the reference's `generate`: rows together, late, in chunks, in turns."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from edge.prompt.build import Prompt
from edge.run.loop import Loop
from tests.parity.cases import Case, Picture, make_case, reference_inputs
from tests.parity.reference import KINDS, Kind, loaded_model, reference_model
from tests.parity.rows import loop_of, prompt_of
from tests.unit.run.engines import Outlet, drain

NUM_TOKENS = 16
CASES = {
    "text": make_case(9),
    "picture": make_case(3, Picture((1, 6, 4), seed=1), 5),
    "two pictures": make_case(2, Picture((1, 4, 6), seed=1), 4, Picture((1, 8, 6), seed=2), 3, seed=1),
    "video": make_case(4, Picture((3, 4, 6), seed=3), 5, seed=2),
    "picture and video": make_case(2, Picture((2, 6, 4), seed=4), 3, Picture((1, 4, 8), seed=5), 6, seed=3),
}


def reference_tokens(kind: Kind, case: Case) -> list[int]:
    """Tokens of the reference's own `generate`."""
    model = reference_model(kind)
    model.model.rope_deltas = None
    with torch.no_grad():
        found = model.generate(
            **reference_inputs(case), do_sample=False, max_new_tokens=NUM_TOKENS, eos_token_id=None, pad_token_id=0
        )
    return [int(token) for token in found[0, case.length :]]


@cache
def expected(kind: Kind) -> list[list[int]]:
    return [reference_tokens(kind, case) for case in CASES.values()]


def add(loop: Loop, prompt: Prompt) -> Outlet:
    return Outlet.of(loop, prompt, max_tokens=NUM_TOKENS)


@pytest.mark.parametrize("chunk_tokens", [7, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_tokens_of_rows_that_run_together_equal_the_references_generate(kind: Kind, chunk_tokens: int) -> None:
    loop = loop_of(loaded_model(kind), chunk_tokens=chunk_tokens)
    outlets = [add(loop, prompt_of(case)) for case in CASES.values()]
    drain(loop)
    assert [outlet.tokens for outlet in outlets] == expected(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_tokens_of_rows_that_come_late_equal_the_references_generate(kind: Kind) -> None:
    loop = loop_of(loaded_model(kind), chunk_tokens=5, max_rows=3)
    outlets = []
    for case in reversed(CASES.values()):
        outlets.append(add(loop, prompt_of(case)))
        for _ in range(4):
            loop.turn()
    drain(loop)
    assert [outlet.tokens for outlet in reversed(outlets)] == expected(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_turn_on_kept_keys_and_values_equals_the_references_generate(kind: Kind) -> None:
    loop, case = loop_of(loaded_model(kind)), CASES["picture and video"]
    first = add(loop, prompt_of(case))
    drain(loop)
    ids = np.concatenate([case.token_ids, np.array([*first.tokens, 17, 23, 5], dtype=np.int32)])
    second = add(loop, prompt_of(Case(ids, case.spans, case.media)))
    drain(loop)
    assert second.prompt.cached_tokens == case.length + NUM_TOKENS - 1
    assert second.tokens == reference_tokens(kind, Case(ids, case.spans, case.media))


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_changes_the_answer(kind: Kind) -> None:
    """Guards the tests above: a model that ignored pictures would not pass them by chance."""
    loop = loop_of(loaded_model(kind))
    other = add(loop, prompt_of(make_case(3, Picture((1, 6, 4), seed=9), 5)))
    drain(loop)
    assert other.tokens != expected(kind)[list(CASES).index("picture")]
