from __future__ import annotations

from typing import Any

import pytest

from edge.server.anthropic.threads import read_thread
from edge.server.errors import ApiError
from edge.server.fields import Fields
from tests.unit.server.conftest import Caller

CONTINUED = {"type": "continue", "previous_message_id": "msg_1"}


@pytest.mark.parametrize(("thread", "ignored"), [(None, []), ({}, []), ({"type": "create"}, ["thread"])])
def test_a_thread_to_be_held_is_named_and_changes_nothing(thread: Any, ignored: list[str]) -> None:
    assert read_thread(Fields({"thread": thread})) == ignored


@pytest.mark.parametrize(
    ("thread", "message"),
    [
        (CONTINUED, "'msg_1' is not held here"),
        ({"type": "odd"}, "one of create, continue"),
        ({"previous_message_id": "x"}, "create or continue"),
        ("create", "an object"),
    ],
)
def test_what_goes_on_from_elsewhere_is_refused(thread: Any, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        read_thread(Fields({"thread": thread}))


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_the_refusal_has_the_code_that_makes_clients_send_everything(caller: Caller, path: str) -> None:
    reply = caller.post(path, {"max_tokens": 4, "messages": [], "thread": CONTINUED})
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")
    assert reply.json["error"]["details"] == {"error_code": "thread_not_found"}
