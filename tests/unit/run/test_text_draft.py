"""A text model of mlx-lm as draft; skipped where mlx-lm is not installed."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from edge.limits import EngineLimits
from edge.run.loop import Loop
from edge.run.text_draft import TextDraft
from tests.unit.run.engines import Outlet, bare_loop, drain
from tests.unit.run.guessing import FreeCosts
from tests.unit.run.tiny import picture_prompt, take, tiny_config, tiny_model

pytest.importorskip("mlx_lm")


def text_model() -> Any:  # Any: a model of mlx-lm
    from mlx_lm.models.qwen3 import Model, ModelArgs

    mx.random.seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48, "head_dim": 16}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 100.0}
    vocab_size = tiny_config().text.vocab_size
    return Model(
        ModelArgs(
            model_type="qwen3",
            vocab_size=vocab_size,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            **sizes,
            **heads,
        )
    )


def greedy(model: Any, token_ids: list[int], count: int) -> list[int]:  # Any: a model of mlx-lm
    """The model's own continuation, each token from all before it."""
    text = list(token_ids)
    for _ in range(count):
        text.append(int(np.array(mx.argmax(model(mx.array([text]))[0, -1]))))
    return text[len(token_ids) :]


def test_it_guesses_its_own_continuation_of_the_text_without_pictures() -> None:
    model, prompt = text_model(), picture_prompt()
    row = TextDraft(model, token_bytes=1).start(prompt)
    while not row.is_ready:
        row.advance()
    visual = {place for span in prompt.spans for place in range(span.start, span.end)}
    text = [token_id for place, token_id in enumerate(prompt.token_ids.tolist()) if place not in visual]
    assert row.guess([7], 4) == greedy(model, [*text, 7], 4)
    assert row.guess([7, 9, 30], 3) == greedy(model, [*text, 7, 9, 30], 3)  # takes back what came otherwise


def test_answers_with_a_text_draft_are_those_without() -> None:
    loop: Loop = bare_loop(tiny_model(), EngineLimits(), draft=TextDraft(text_model(), token_bytes=64))
    loop.costs = FreeCosts()
    outlet = Outlet.of(loop, picture_prompt(), max_tokens=16)
    drain(loop)
    assert outlet.tokens == take(picture_prompt(), 16)
    assert outlet.finish.usage.guessed_tokens > 0
