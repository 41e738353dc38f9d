from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from edge.run.checked import Checked
from edge.run.forward import check_rows, decode_rows
from edge.run.lookup import Guess
from edge.run.row import Step
from edge.run.step import queue_step
from tests.unit.run.engines import Outlet, make_loop_of_tiny
from tests.unit.run.tiny import begin, picture_prompt, prompt_of, take, tiny_model

TALK = prompt_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
TOKENS = ([40, 41, 42], [50], [60, 61])


@pytest.mark.parametrize("kv_bits", [None, 8])
def test_rows_of_unlike_lengths_get_what_each_gets_token_by_token(kv_bits: int | None) -> None:
    prompts = [TALK, picture_prompt(), picture_prompt(seed=5)]
    together = [begin(prompt, kv_bits=kv_bits)[0] for prompt in prompts]  # type: ignore[arg-type]  # 8 or None
    alone = [begin(prompt, kv_bits=kv_bits)[0] for prompt in prompts]  # type: ignore[arg-type]  # 8 or None
    first = [prompt.next_position for prompt in prompts]
    found = check_rows(tiny_model(), [mx.array(ids) for ids in TOKENS], first, together)
    for ids, position, memory, logits in zip(TOKENS, first, alone, found, strict=True):
        steps = [
            decode_rows(tiny_model(), [mx.array([token])], [position + place], [memory])[0]
            for place, token in enumerate(ids)
        ]
        assert logits.shape == (len(ids), steps[0].shape[0])
        np.testing.assert_allclose(np.array(logits), np.array(mx.stack(steps)), rtol=2e-4, atol=2e-5)


def test_only_the_row_that_guesses_gets_more_than_a_token() -> None:
    loop = make_loop_of_tiny()
    outlets = [Outlet.of(loop, prompt, max_tokens=10) for prompt in (TALK, picture_prompt())]
    while not all(row.stage == "decode" for row in loop._rows) or len(loop._rows) < len(outlets):
        loop.turn()
    guessing, plain = loop._rows
    at = len(guessing.token_ids)
    right = take(TALK, 10)[at + 1 : at + 3]
    guessing.guess = Guess(tuple(right), 8)
    before = [row.num_cached for row in loop._rows]
    steps = queue_step(tiny_model(), loop._rows)
    checked = steps[guessing]
    assert isinstance(checked, Checked)
    assert isinstance(steps[plain], Step)
    assert [int(np.array(step.token)[0]) for step in checked.steps[:2]] == right
    assert [row.num_cached - old for row, old in zip(loop._rows, before, strict=True)] == [3, 1]
