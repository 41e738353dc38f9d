from __future__ import annotations

from types import SimpleNamespace

import pytest

from edge.chat.asking.request import ANSWER_TOKENS, THOUGHT_TOKENS, check_options, make_limits, thought_tokens
from edge.chat.options import ChatOptions, Think
from edge.checkpoint.folder import open_checkpoint
from edge.errors import UsageError
from edge.loading import demo_folder


def engine(context_tokens: int = 262_144) -> object:
    config = open_checkpoint(demo_folder()).config
    return SimpleNamespace(config=config, context_tokens=context_tokens, limits=SimpleNamespace(kv_bits=None))


@pytest.mark.parametrize(
    ("think", "max_tokens", "expected"),
    [
        ("on", None, None),
        (0, None, 0),
        (77, 100, 77),
        ("auto", 1, 0),
        ("auto", 12, 9),
        ("auto", 100_000, 100_000 - ANSWER_TOKENS),
        ("auto", None, THOUGHT_TOKENS),
    ],
)
def test_a_thinking_model_is_left_room_for_an_answer(
    think: Think, max_tokens: int | None, expected: int | None
) -> None:
    options = ChatOptions(think=think, max_tokens=max_tokens)
    assert thought_tokens(engine(), options, thinks=True) == expected  # type: ignore[arg-type]  # a stand-in


def test_a_small_context_bounds_the_thought() -> None:
    assert thought_tokens(engine(1000), ChatOptions(), thinks=True) == 500  # type: ignore[arg-type]  # a stand-in


def test_a_model_without_thoughts_gets_no_budget() -> None:
    assert thought_tokens(engine(), ChatOptions(), thinks=False) is None  # type: ignore[arg-type]  # a stand-in


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (ChatOptions(max_tokens=0), "max_tokens"),
        (ChatOptions(max_tokens=5, think=5), "thinking_budget"),
        (ChatOptions(sampling={"top_p": 1.5}), "top_p"),
        (ChatOptions(fps=0.0), "fps"),
        (ChatOptions(context=0), "context_tokens"),
    ],
)
def test_wrong_numbers_are_found_before_loading_with_their_field(options: ChatOptions, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_options(options)
    assert caught.value.field == field


def test_keys_and_values_are_kept_on_disk_for_saved_talks_only() -> None:
    assert make_limits(ChatOptions(kv_bits=8)).keep_folder is None
    assert [make_limits(ChatOptions(speculates=is_on)).speculate for is_on in (True, False)] == [True, False]
    assert make_limits(ChatOptions(), keeps=True).keep_folder is not None
