from __future__ import annotations

from collections.abc import Sequence

import pytest

from edge.events import NoteEvent
from edge.text.answer import AnswerReader
from tests.real_tokenizer import real_tokenizer
from tests.unit.text.reading import BytesAsTokens, Joined, join

END, OTHER_END, SPECIAL = 300, 301, 302
CALL = b'<tool_call>\n{"name": "f", "arguments": {"a": "\xe6\x97\xa5"}}\n</tool_call>'


def reader(*, thinking: bool = False, stops: Sequence[str] = (), tools: bool = True) -> AnswerReader:
    return AnswerReader(
        BytesAsTokens(), starts_in_reasoning=thinking, stops=stops, end_token_ids=(END, OTHER_END), has_tools=tools
    )


def read(answer: AnswerReader, token_ids: Sequence[int]) -> Joined:
    return join([event for token_id in token_ids for event in answer.feed(token_id)] + answer.finish())


@pytest.mark.parametrize("end", [END, OTHER_END])
def test_every_end_token_ends_the_answer_and_has_no_text(end: int) -> None:
    answer = reader()
    assert read(answer, [*b"yes", end, *b"no"]).text == "yes"
    assert answer.is_stopped
    assert answer.stop is None


def test_a_stop_string_ends_the_answer() -> None:
    answer = reader(stops=["END"])
    assert read(answer, b"one END two").text == "one "
    assert answer.is_stopped
    assert answer.stop == "END"


def test_a_stop_string_inside_the_thought_does_not_end_it() -> None:
    answer = reader(thinking=True, stops=["END"])
    joined = read(answer, b"not END\n</think>\n\nbut END here")
    assert (joined.thought, joined.text, answer.stop) == ("not END", "but ", "END")


def test_an_answer_without_an_end_is_not_stopped() -> None:
    answer = reader(thinking=True)
    assert read(answer, b"going on").thought == "going on"
    assert not answer.is_stopped
    assert answer.is_reasoning


def test_reasoning_tokens_are_counted_up_to_the_closing_tag() -> None:
    answer = reader(thinking=True)
    read(answer, b"ab</think>yes")
    assert answer.reasoning_tokens == len("ab</think>")
    assert not answer.is_reasoning


def test_calls_are_read_from_tokens_with_characters_split_over_them() -> None:
    answer = reader(thinking=True)
    joined = read(answer, [*b"hm</think>\n\nI look.\n", SPECIAL, *CALL, *b"\n", *CALL, END])
    assert (joined.thought, joined.text) == ("hm", "I look.")
    assert joined.calls == [(0, "f", '{"a": "日"}'), (1, "f", '{"a": "日"}')]
    assert answer.num_calls == 2
    assert [call.index for call in answer.tool_calls] == [0, 1]
    assert answer.tool_calls[0].id != answer.tool_calls[1].id


def test_calls_are_read_from_the_tokens_of_the_real_vocabulary() -> None:
    tokenizer = real_tokenizer()
    text = "Which?\n</think>\n\nI look, 日本.\n" + CALL.decode() + "\n" + CALL.decode() + "<|im_end|>"
    end = tokenizer.special_ids["<|im_end|>"]
    answer = AnswerReader(tokenizer, starts_in_reasoning=True, stops=["</tool"], end_token_ids=[end], has_tools=True)
    joined = read(answer, tokenizer.encode(text))
    assert (joined.thought, joined.text, answer.is_stopped) == ("Which?", "I look, 日本.", True)
    assert joined.calls == [(0, "f", '{"a": "日"}'), (1, "f", '{"a": "日"}')]


def test_an_end_token_inside_a_call_leaves_it_as_text_with_a_note() -> None:
    answer = reader()
    joined = read(answer, [*CALL[:-20], END])
    assert joined.text == CALL[:-20].decode()
    assert joined.notes == [
        "Tool call 0 is void: it could not be read, because it was cut off. It stands in the text as written."
    ]
    assert (answer.num_calls, answer.void_indices) == (0, (0,))


def test_a_character_cut_off_inside_a_call_stands_in_its_text() -> None:
    joined = read(reader(), CALL[: CALL.index(b"\x97") + 1])
    assert joined.text.endswith('{"a": "\ufffd')


def test_finish_a_second_time_returns_nothing() -> None:
    answer = reader()
    answer.feed(ord("<"))
    assert len(answer.finish()) == 1
    assert answer.finish() == []


def test_without_tools_a_call_is_text_without_a_note() -> None:
    answer = reader(tools=False)
    events = [event for token_id in CALL for event in answer.feed(token_id)] + answer.finish()
    assert join(events).text == CALL.decode()
    assert not any(isinstance(event, NoteEvent) for event in events)
