from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge
from edge.prompt.text.tokenizer import Tokenizer
from edge.text.repetition import MAX_PERIOD, MIN_REPEATS, MIN_TOKENS, LoopGuard
from tests.real_tokenizer import real_tokenizer
from tests.unit.text.legitimate import answers

VOCABULARY = 150_000


def first_alarm(token_ids: Sequence[int], guard: LoopGuard) -> int | None:
    """Return how many tokens were taken when the guard first fired."""
    return next((i + 1 for i, token_id in enumerate(token_ids) if guard.feed(token_id)), None)


@pytest.mark.parametrize("seed", range(200))
def test_a_planted_loop_is_caught_as_soon_as_it_is_long_enough(seed: int) -> None:
    chance = random.Random(seed)
    period = chance.choice([1, 2, 3, MAX_PERIOD, chance.randint(4, 60), chance.randint(61, MAX_PERIOD)])
    before = [chance.randrange(VOCABULARY) for _ in range(chance.randint(0, 1500))]
    turn = [chance.randrange(VOCABULARY) for _ in range(period)]
    guard = LoopGuard()
    found = first_alarm(before + turn * (MIN_TOKENS // period + MIN_REPEATS), guard)
    assert found == len(before) + max(MIN_REPEATS * period, MIN_TOKENS)
    assert guard.period == period


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=40))
def test_the_counters_agree_with_looking_at_every_tail(token_ids: list[int]) -> None:
    guard = LoopGuard(max_period=6, min_repeats=2, min_tokens=8)
    for end, token_id in enumerate(token_ids, 1):
        tails = [
            period
            for period in range(1, 7)
            for length in [max(2 * period, 8)]
            if length <= end and all(token_ids[i] == token_ids[i - period] for i in range(end - length + period, end))
        ]
        assert guard.feed(token_id) == bool(tails)
        assert guard.period == (min(tails) if tails else None)


def test_a_loop_that_ends_is_forgotten() -> None:
    guard = LoopGuard()
    assert first_alarm([5] * MIN_TOKENS, guard) == MIN_TOKENS
    assert not guard.feed(6)
    assert guard.period is None


def test_a_period_beyond_the_longest_is_not_noticed() -> None:
    assert first_alarm(list(range(MAX_PERIOD + 1)) * 4, LoopGuard()) is None


def alarms(tokenizer: Tokenizer, min_tokens: int) -> tuple[int, int, set[str]]:
    """Feed the legitimate answers; return lines, tokens and the first lines of those that set off an alarm."""
    lines, count, fired = 0, 0, set()
    for answer in answers(10_000):
        token_ids = tokenizer.encode_plain("\n".join(answer))
        lines, count = lines + len(answer), count + len(token_ids)
        if first_alarm(token_ids, LoopGuard(min_tokens=min_tokens)) is not None:
            fired.add(answer[0])
    return lines, count, fired


@pytest.fixture(scope="module")
def demo() -> Tokenizer:
    return Tokenizer.from_folder(Path(edge.__file__).parent / "demo")


@pytest.mark.parametrize("kind", ["demo", "real"])
def test_tables_lists_and_code_set_off_no_alarm(demo: Tokenizer, kind: str) -> None:
    lines, count, fired = alarms(demo if kind == "demo" else real_tokenizer(), MIN_TOKENS)
    assert lines >= 10_000
    assert count >= 100_000
    assert fired == set()


def test_a_guard_with_a_small_minimum_would_alarm_on_them(demo: Tokenizer) -> None:
    assert len(alarms(demo, 32)[2]) >= 5
