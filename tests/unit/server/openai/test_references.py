from __future__ import annotations

from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.openai.references import resolve_references
from edge.server.openai.responses_store import ResponseStore, StoredResponse
from tests.unit.server.conftest import Caller

Json = Any
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}
USER = {"role": "user", "content": "Hi"}


def resolved(*items: Json, owner: str = "me") -> Json:
    store = ResponseStore(max_bytes=9000)
    store.keep(StoredResponse("me", [], {"id": "resp_1", "output": [ITEM]}))
    return resolve_references({"input": list(items), "model": "demo"}, store=store, owner=owner)


@pytest.mark.parametrize(
    "reference",
    [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "msg_1"}],
)
def test_a_name_becomes_its_item(reference: Json) -> None:
    assert resolved(USER, reference, USER) == {"input": [USER, ITEM, USER], "model": "demo"}


@pytest.mark.parametrize(
    ("reference", "owner"),
    [({"type": "item_reference", "id": "msg_2"}, "me"), ({"id": "msg_1"}, "other"), ({"type": "item_reference"}, "me")],
)
def test_a_name_of_nothing_is_refused(reference: Json, owner: str) -> None:
    with pytest.raises(ApiError, match=r"input\[1\]: item .* is not kept here") as refused:
        resolved(USER, reference, owner=owner)
    assert (refused.value.status, refused.value.param) == (404, "input[1]")


@pytest.mark.parametrize("items", [(USER, ITEM), (3, "x"), ()])
def test_other_items_stay_as_they_are(items: tuple[Json, ...]) -> None:
    assert resolved(*items)["input"] == list(items)


def test_a_conversation_by_names_is_the_one_by_items(caller: Caller) -> None:
    fields = {"max_output_tokens": 4, "temperature": 0, "reasoning": {"effort": "none"}}
    first = caller.post("/v1/responses", {"input": [USER], **fields}).json
    (item,) = first["output"]
    counts = [
        caller.post("/v1/responses", {"input": [USER, said, USER], **fields}).json["usage"]["input_tokens"]
        for said in ({"type": "item_reference", "id": item["id"]}, item)
    ]
    assert counts[0] == counts[1]
    alone = caller.post("/v1/responses", {"previous_response_id": first["id"], **fields}).json
    assert alone["usage"]["input_tokens"] > first["usage"]["input_tokens"]
