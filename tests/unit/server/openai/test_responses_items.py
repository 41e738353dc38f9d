from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.openai.responses import list_input_items
from edge.server.openai.responses_items import Item, listed_items, page_of
from edge.server.openai.responses_store import ResponseStore, StoredResponse
from tests.unit.server.conftest import Caller

ITEMS: list[Item] = [{"id": str(number), "type": "message"} for number in range(25)]
ASK = {"max_output_tokens": 8, "temperature": 0, "reasoning": {"effort": "none"}}


def ids(page: dict[str, Any]) -> list[str]:
    return [item["id"] for item in page["data"]]


def test_a_text_is_listed_as_a_message() -> None:
    (item,) = listed_items("Hi")
    assert item["id"].startswith("msg_")
    assert {**item, "id": ""} == {
        "id": "",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }


@pytest.mark.parametrize(
    ("item", "listed"),
    [
        (
            {"role": "assistant", "content": "Yes", "type": None, "status": None},
            {"type": "message", "content": [{"type": "output_text", "text": "Yes"}]},
        ),
        ({"id": "fc_1", "type": "function_call", "status": "incomplete"}, {"id": "fc_1", "status": "incomplete"}),
        ({"type": "function_call_output", "output": "5"}, {"output": "5", "status": "completed"}),
        ({"type": "web_search_call", "action": {}}, {"type": "web_search_call", "action": {}}),
    ],
)
def test_items_are_listed_as_they_came(item: Item, listed: dict[str, Any]) -> None:
    (found,) = listed_items([item])
    assert {**found, **listed} == found
    assert isinstance(found["id"], str)


def test_no_two_items_have_one_id() -> None:
    twice: Item = {"id": "msg_1", "role": "user", "content": []}
    found = listed_items([twice, twice, {**twice, "id": 5}, {**twice, "id": ""}], before=[twice])
    assert len({item["id"] for item in found}) == 5
    assert listed_items(None, before=[twice]) == [twice]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_follow_one_another_to_the_end(order: str) -> None:
    query = {"order": order, "limit": "10"}
    found: list[str] = []
    while True:
        page = page_of(ITEMS, query)
        found += ids(page)
        assert (page["first_id"], page["last_id"]) == (ids(page)[0], ids(page)[-1])
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    assert found == [item["id"] for item in ITEMS][:: 1 if order == "asc" else -1]


def test_without_a_wish_the_newest_twenty_come() -> None:
    assert ids(page_of(ITEMS, {})) == [str(number) for number in range(24, 4, -1)]
    empty = page_of(ITEMS, {"after": "0"})
    assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, False)


@pytest.mark.parametrize(
    "query",
    [
        {"order": "up"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "x"},
        {"limit": "²"},
        {"after": "z"},
    ],
)
def test_a_page_that_there_is_not_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        page_of(ITEMS, query)
    assert (refused.value.status, refused.value.param) == (400, next(iter(query)))


def test_a_text_that_messages_and_items_share_counts_once() -> None:
    text = "x" * 3000
    shared = [{"role": "user", "content": text}]
    store = ResponseStore(max_bytes=5000)
    store.keep(StoredResponse("me", shared, {"id": "a"}, listed_items(text)))
    assert store.get("a", owner="me").items
    store.keep(StoredResponse("me", shared, {"id": "b"}, listed_items("y" * 3000)))
    with pytest.raises(ApiError):
        store.get("b", owner="me")


def test_a_response_lists_the_conversation_that_it_answers(caller: Caller) -> None:
    first = caller.post("/v1/responses", {"input": "Hi", "instructions": "Be short.", **ASK}).json
    asked = [{"role": "user", "content": "And?"}]
    second = caller.post("/v1/responses", {"input": asked, "previous_response_id": first["id"], **ASK}).json
    listed = caller.get(f"/v1/responses/{second['id']}/input_items?order=asc").json
    assert [(item["role"], item["content"][0]["text"]) for item in listed["data"]] == [
        ("user", "Hi"),
        ("assistant", first["output"][-1]["content"][0]["text"]),
        ("user", "And?"),
    ]
    named = [{"type": "item_reference", "id": item["id"]} for item in listed["data"]]
    third = caller.post("/v1/responses", {"input": named, **ASK}).json
    assert third["usage"]["input_tokens"] == second["usage"]["input_tokens"]


def test_another_client_does_not_find_the_items() -> None:
    store = ResponseStore(max_bytes=5000)
    store.keep(StoredResponse("me", [], {"id": "a"}, listed_items("secret")))
    app = SimpleNamespace(state=SimpleNamespace(responses=store))

    def ask(client: str) -> bytes:
        scope = {"edge.client": client}
        http: Any = SimpleNamespace(app=app, path_params={"id": "a"}, scope=scope, query_params={})
        return bytes(asyncio.run(list_input_items(http)).body)

    assert b"secret" in ask("me")
    with pytest.raises(ApiError) as refused:
        ask("other")
    assert refused.value.status == 404


@pytest.mark.parametrize("path", ["/v1/responses/resp_none/input_items", "/v1/responses/resp_none?stream=true"])
def test_what_is_not_kept_has_no_items_and_nothing_is_streamed_again(caller: Caller, path: str) -> None:
    reply = caller.get(path)
    assert reply.status == (400 if "stream" in path else 404)
    assert reply.json["error"]["param"] == ("stream" if "stream" in path else None)


def test_a_message_whose_type_is_null_is_a_message(caller: Caller) -> None:
    reply = caller.post("/v1/responses", {"input": [{"type": None, "role": "user", "content": "Hi"}], **ASK})
    assert (reply.status, "x-ignored-fields" in reply.headers) == (200, False)
