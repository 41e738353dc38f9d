"""The list of models, as clients of four programs read it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from edge.server.catalogue import ModelEntry
from edge.server.models import ModelShelf, Resident
from edge.server.openai.models import _model_body
from tests.unit.server.conftest import Caller


def shelf() -> ModelShelf:
    def load(entry: ModelEntry) -> Any:  # Any: nothing is loaded
        raise AssertionError

    entries = [ModelEntry("a", "a", created=86_400), ModelEntry("b", "b")]
    return ModelShelf(entries, load, default="a", aliases={"gpt": "a", "*": "a"})


def test_a_model_has_its_aliases_but_not_the_one_for_unknown_names() -> None:
    body = _model_body(ModelEntry("a", "a", created=86_400), shelf())
    assert body["aliases"] == ["gpt"]
    assert (body["created"], body["created_at"]) == (86_400, "1970-01-02T00:00:00Z")
    assert body["is_loaded"] is False
    assert "max_model_len" not in body


def test_a_model_in_memory_tells_its_context() -> None:
    models, engine = shelf(), SimpleNamespace(context_tokens=4096)
    models._residents["a"] = Resident(models.entries["a"], engine, None)  # type: ignore[arg-type]  # stands for one
    body = _model_body(models.entries["a"], models)
    assert body["is_loaded"] is True
    assert body["max_model_len"] == body["meta"]["n_ctx"] == 4096


def test_a_list_ends_where_anthropics_clients_look_for_its_end(caller: Caller) -> None:
    listed = caller.get("/v1/models").json
    names = [one["id"] for one in listed["data"]]
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, names[0], names[-1])
    assert caller.get("/v1/models/demo").json["id"] == "demo"


def test_an_unknown_model_is_a_404_that_lists_the_known_ones(caller: Caller) -> None:
    reply = caller.get("/v1/models/nothing")
    assert reply.status == 404
    assert "demo" in reply.json["error"]["message"]


def test_a_slash_at_the_end_changes_nothing(caller: Caller) -> None:
    assert caller.get("/v1/models/").json == caller.get("/v1/models").json
    assert caller.get("/v1/models/demo/").json == caller.get("/v1/models/demo").json
