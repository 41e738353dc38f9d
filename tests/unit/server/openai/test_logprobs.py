from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from edge.events import Event, TextEvent, TokenEvent, ToolCallEvent
from edge.server.openai.logprobs import TextTokens, logprobs_body, text_tokens
from edge.text.answer import AnswerReader
from tests.unit.server.conftest import Caller

END = 0
CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
BROKEN = '<tool_call>\n{"name": "f", "arguments": {"a": oh}}\n</tool_call>'


class Speller:
    """A tokenizer whose tokens are pieces of one text, and a token that ends the turn."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [b"<|end|>", *pieces]
        self.token_ids = [*range(1, len(self._pieces)), END]

    def token_bytes(self, token_id: int) -> bytes:
        return self._pieces[token_id]

    def is_special(self, token_id: int) -> bool:
        return token_id == END


def engine_of(speller: Speller) -> Any:  # Any: stands where an engine does
    return SimpleNamespace(processor=SimpleNamespace(tokenizer=speller))


def cut(text: str, size: int) -> list[bytes]:
    data = text.encode()
    return [data[start : start + size] for start in range(0, len(data), size)]


def events_of(speller: Speller, *, stops: tuple[str, ...] = (), has_tools: bool = True) -> list[Event]:
    """Read an answer as a row does: each token, then what it gave."""
    reader = AnswerReader(speller, starts_in_reasoning=True, stops=stops, end_token_ids=(END,), has_tools=has_tools)
    events: list[Event] = []
    for token_id in speller.token_ids:
        events += [TokenEvent(token_id, reader.is_reasoning, -0.5), *reader.feed(token_id)]
        if reader.is_stopped:
            break
    return [*events, *reader.finish()]


def spelled(speller: Speller, tokens: list[TokenEvent]) -> str:
    return b"".join(speller.token_bytes(token.token_id) for token in tokens).decode()


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextEvent))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I think.\n</think>\n\nRed é and\n blue.", "Red é and\n blue."),
        ("I think.\n</think>\n\n  Red.\n", "  Red.\n"),
        (f"</think>\n\n{CALL}", ""),
        (f"</think>\n\nLook.\n\n{CALL}\n{CALL}", "Look."),
        (f"</think>\n\n{CALL}\nDone \n now. ", "Done \n now. "),
        (f"</think>\n\nLook: {BROKEN} so", f"Look: {BROKEN} so"),
    ],
)
def test_the_tokens_of_an_answer_spell_its_text(text: str, said: str, size: int) -> None:
    marks = re.split(r"(</?tool_call>|</think>\n\n)", text)  # a model has one token for each
    speller = Speller([piece for part in marks for piece in ([part.encode()] if "<" in part else cut(part, size))])
    events = events_of(speller)
    assert text_of(events) == said
    # a token that is text only in part is told whole
    assert said in spelled(speller, text_tokens(engine_of(speller), events))
    if size == 1:
        assert spelled(speller, text_tokens(engine_of(speller), events)) == said


@pytest.mark.parametrize(
    ("stop", "said", "told"),
    [("that", "I do ", "I do "), ("do t", "I ", "I "), ("o th", "I d", "I do"), ("thus", "I do that.", "I do that.")],
)
def test_what_a_stop_string_took_is_left_out(stop: str, said: str, told: str) -> None:
    speller = Speller([b"</think>\n\n", b"I", b" ", b"do", b" ", b"that", b"."])
    events = events_of(speller, stops=(stop,))
    assert (text_of(events), spelled(speller, text_tokens(engine_of(speller), events))) == (said, told)


def test_a_token_is_told_with_the_text_that_it_begins_in() -> None:
    speller = Speller([b"a", b"bc", b"d"])
    tokens = TextTokens(engine_of(speller))
    told = []
    events = (
        *(TokenEvent(1, False, -1.0), TokenEvent(2, False, -1.0), TextEvent("ab")),
        *(TokenEvent(3, False, -1.0), TextEvent("c"), TextEvent("d")),
    )
    for event in events:
        tokens.add(event)
        told.append(spelled(speller, tokens.take()))
    assert told == ["", "", "abc", "", "", "d"]


def test_forced_tokens_and_those_of_the_thought_have_no_logprob() -> None:
    speller = Speller([b"a", b"b", b"c"])
    events: list[Event] = [
        *(TokenEvent(1, True, -1.0), TokenEvent(2, False, None), TokenEvent(3, False, -1.0), TextEvent("c")),
    ]
    assert [token.token_id for token in text_tokens(engine_of(speller), events)] == [3]


def test_a_logprob_is_a_number_and_bytes_may_be_half_a_character() -> None:
    speller = Speller(["é".encode()[:1]])
    token = TokenEvent(1, False, -float("inf"), ((END, -0.5),))
    assert logprobs_body(engine_of(speller), [token]) == [
        {
            "token": "\ufffd",
            "logprob": -9999.0,
            "bytes": [0xC3],
            "top_logprobs": [{"token": "<|end|>", "logprob": -0.5, "bytes": list(b"<|end|>")}],
        }
    ]


def joined(content: list[Any]) -> str:  # Any: JSON
    return b"".join(bytes(entry["bytes"]) for entry in content).decode()


@pytest.mark.parametrize("fields", [{}, {"stop": "hello"}, {"tool_choice": "required"}])
def test_tokens_of_a_chat_completion_spell_its_content(caller: Caller, fields: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "ping"}}
    fields = {"logprobs": True, "max_tokens": 60, "tools": [tool], **fields}
    choice = caller.chat(**fields).json["choices"][0]
    assert joined(choice["logprobs"]["content"]) == (choice["message"]["content"] or "")
    chunks = [one["choices"][0] for one in caller.chat(**fields, stream=True).events[:-1]]
    assert all(joined(one["logprobs"]["content"]) for one in chunks if one["logprobs"])
    told = [entry for one in chunks if one["logprobs"] for entry in one["logprobs"]["content"]]
    assert joined(told) == joined(choice["logprobs"]["content"])


def test_tokens_of_a_response_spell_its_text_and_come_once(caller: Caller) -> None:
    body = {"input": "Hi", "temperature": 0, "max_output_tokens": 40, "include": ["message.output_text.logprobs"]}
    (part,) = caller.post("/v1/responses", body).json["output"][-1]["content"]
    assert joined(part["logprobs"]) == part["text"]
    events = caller.post("/v1/responses", {**body, "stream": True}).events
    (added,) = [one for one in events if one["type"] == "response.content_part.added"]
    assert added["part"]["logprobs"] == []
    deltas = [one for one in events if one["type"] == "response.output_text.delta"]
    assert "".join(joined(one["logprobs"]) for one in deltas) == part["text"]


def test_tokens_of_an_ollama_answer_spell_its_text(caller: Caller) -> None:
    body = {"prompt": "Hi", "options": {"temperature": 0, "num_predict": 40}, "logprobs": True}
    whole = caller.post("/api/generate", {**body, "stream": False}).json
    assert joined(whole["logprobs"]) == whole["response"]
    lines = [json.loads(line) for line in caller.post("/api/generate", body).body.splitlines()]
    told = [entry for line in lines for entry in line.get("logprobs", ())]
    assert joined(told) == whole["response"]
    assert not isinstance(lines[-1].get("logprobs"), list)


def test_a_call_takes_its_tokens_with_it() -> None:
    speller = Speller([b"a", b"b"])
    call: Any = None
    events: list[Event] = [TokenEvent(1, False, -1.0), ToolCallEvent(call), TokenEvent(2, False, -1.0), TextEvent("b")]
    assert [token.token_id for token in text_tokens(engine_of(speller), events)] == [2]
