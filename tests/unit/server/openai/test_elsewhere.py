from __future__ import annotations

from typing import Any

import pytest

from edge.server.arguments import ServerLimits
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.openai.chat_request import read_chat_request
from edge.server.openai.elsewhere import CHAT, RESPONSES, refuse_elsewhere
from edge.server.openai.responses_request import read_responses_request

MESSAGES = [{"role": "user", "content": "Hi"}]


def chat_ignored(**body: Any) -> tuple[str, ...]:  # Any: fields of the protocol
    return read_chat_request({"messages": MESSAGES, **body}, limits=ServerLimits()).ignored


@pytest.mark.parametrize("name", CHAT)
def test_another_servers_word_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(ApiError, match=f"^{name}: is not read here. Write ") as caught:
        chat_ignored(**{name: {"a": 1}})
    assert (caught.value.param, caught.value.status) == (name, 400)


@pytest.mark.parametrize("name", RESPONSES)
def test_a_word_of_chat_completions_is_refused_in_responses(name: str) -> None:
    with pytest.raises(ApiError, match=f"^{name}: is not read here. Write ") as caught:
        read_responses_request({"input": "Hi", name: {"a": 1}}, limits=ServerLimits())
    assert caught.value.param == name


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_what_is_empty_asks_for_nothing(empty: Any) -> None:  # Any: empty values of all kinds
    refuse_elsewhere(Fields(dict.fromkeys(CHAT, empty)), CHAT)


def test_other_unknown_fields_are_named_and_passed_over() -> None:
    assert chat_ignored(foo=1, function_call="auto") == ("foo", "function_call")
