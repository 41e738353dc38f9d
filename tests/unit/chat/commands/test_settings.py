from __future__ import annotations

import pytest

from edge.chat.commands.settings import setting_names
from tests.unit.chat.parrot import Talking


def test_set_changes_the_next_answers_and_default_takes_it_back(talking: Talking) -> None:
    talking.say("/set temperature 0.5", "/set TOP-K=7", "/set max-tokens 9", "/set stop END", "one")
    request = talking.last()
    assert request.sampling.temperature == 0.5  # type: ignore[union-attr]
    assert request.sampling.top_k == 7  # type: ignore[union-attr]
    assert (request.max_tokens, request.stop) == (9, ("END",))
    talking.say("/set temperature default", "/set max-tokens default", "/set stop default", "two")
    assert talking.last().sampling.temperature == 1.0  # type: ignore[union-attr]
    assert (talking.last().max_tokens, talking.last().stop) == (None, ())


def test_set_alone_tells_what_holds_where_nothing_is_set(talking: Talking) -> None:
    talking.say("/set stop END")
    note = talking.say("/set")
    for line in (
        "stop                END",
        "max-tokens          what the context holds (default)",
        "thoughts            fold",
    ):
        assert line in note


def test_set_alone_lists_every_setting(talking: Talking) -> None:
    note = talking.say("/set seed 3", "/set")
    assert all(name in note for name in setting_names())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/set temperature warm", "expected a number"),
        ("/set top-k 1.5", "whole number"),
        ("/set temperature -1", "at least 0"),
        ("/set nonsense 1", "no such setting. There are: temperature"),
        ("/set temperature", "needs a value"),
        ("/set thoughts loud", "show, fold or hide"),
        ("/set stats maybe", "on or off"),
        ("/think much", "expected on, off, auto"),
        ("/schema gone.json", "cannot be read"),
    ],
)
def test_a_wrong_value_is_one_line_and_changes_nothing(talking: Talking, line: str, message: str) -> None:
    before = talking.talk.options
    note = talking.say(line)
    assert message in note
    assert note.count("\n") == 1
    assert talking.talk.options == before


def test_system_think_schema_and_stats(talking: Talking) -> None:
    talking.say("/system Be brief.", "/schema json", "/stats on")
    note = talking.say("one")
    assert talking.last().messages[0] == {"role": "system", "content": "Be brief."}
    assert talking.last().schema == "json"
    assert "first token 0.20 s" in note
    talking.say("/system off", "/schema off", "/stats off", "two")
    assert talking.last().messages[0]["role"] == "user"
    assert talking.last().schema is None
    assert "first token" in talking.say("/stats")
    talking.talk.thinks = True
    assert "up to 50 tokens" in talking.say("/think 50")
    assert "switched off" in talking.say("/think off")
    assert "all tokens" in talking.say("/think on")


def test_the_loop_guard_can_be_switched_off_and_on(talking: Talking) -> None:
    talking.say("/set loop-guard off", "one")
    assert not talking.last().loop_guard
    talking.say("/set loop-guard default", "two")
    assert talking.last().loop_guard
