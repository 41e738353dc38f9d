"""The context of a model stretched by YaRN: which factor, and where it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

import edge
from edge.config import ModelConfig
from edge.config_context import extend_context
from edge.errors import RequestError
from tests.unit.model.tiny import CONFIG

OWN = 262_144


def config(own: int = OWN) -> ModelConfig:
    return replace(CONFIG, text=replace(CONFIG.text, max_position_embeddings=own))


@pytest.mark.parametrize("asked", [None, 1, 4096, OWN])
def test_the_models_own_context_changes_nothing(asked: int | None) -> None:
    given = config()
    assert extend_context(given, asked) is given


@pytest.mark.parametrize(
    ("asked", "factor"), [(OWN + 1, 2.0), (2 * OWN, 2.0), (2 * OWN + 1, 3.0), (1_000_000, 3.0), (4 * OWN, 3.0)]
)
def test_more_stretches_the_positions_as_published(asked: int, factor: float) -> None:
    text = extend_context(config(), asked).text
    assert (text.rope.rope_type, text.rope.factor, text.rope.original_max_position_embeddings) == ("yarn", factor, OWN)
    assert text.max_position_embeddings == asked
    assert text.rope.mrope_section == CONFIG.text.rope.mrope_section


def test_more_than_four_times_is_refused() -> None:
    with pytest.raises(RequestError, match=r"at most 1,048,576 .* found 1,048,577") as caught:
        extend_context(config(), 4 * OWN + 1)
    assert caught.value.field == "context_tokens"


def test_a_stretched_checkpoint_is_not_stretched_again() -> None:
    stretched = extend_context(config(), 1_000_000)
    assert extend_context(stretched, 1_000_000) is stretched
    with pytest.raises(RequestError, match="stretches it already"):
        extend_context(stretched, 1_000_001)


def test_an_engine_takes_prompts_beyond_the_models_own_context() -> None:
    """A prompt: refused in the demo's 8,192 tokens, taken in 16,384."""
    long = edge.Request(messages=[edge.user_message("word " * 9000)], max_tokens=4)
    with edge.load() as engine:
        own = engine.config.text.max_position_embeddings
        assert engine.count_tokens(long) > own
        with pytest.raises(edge.EdgeError, match="context holds"):
            engine.answer(long)
    with edge.load(limits=edge.EngineLimits(context_tokens=2 * own, chunk_tokens=64)) as engine:
        assert engine.context_tokens == 2 * own
        with engine.stream(long) as stream:
            assert isinstance(next(iter(stream)), edge.PromptEvent)


def test_what_no_stretch_reaches_is_refused_before_weights_are_read() -> None:
    with pytest.raises(RequestError, match="context_tokens"):
        edge.load(limits=edge.EngineLimits(context_tokens=1 << 20))
