"""The endpoints under /v1/responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edge.request import Request as EngineRequest
from edge.server.asking import begin, client_of, count_tokens
from edge.server.body import read_json
from edge.server.conversation import join_leading
from edge.server.errors import ApiError
from edge.server.json_body import JsonBody
from edge.server.media import MediaDoor
from edge.server.openai.chat_request import ChatRequest
from edge.server.openai.orphans import refuse_orphans
from edge.server.openai.references import resolve_references
from edge.server.openai.responses_answer import Builder, stream_response
from edge.server.openai.responses_items import Item, listed_items, page_of
from edge.server.openai.responses_request import ResponsesRequest, read_responses_request
from edge.server.openai.responses_store import ResponseStore, StoredResponse
from edge.server.openai.said import ignored_headers
from edge.server.places import joined_places
from edge.server.serving import serving_of
from edge.server.streams import ServerSentEvents

Json = Any


async def create_response(http: Request) -> Response:
    """Answer a list of items."""
    request, messages, items = await _read(http)
    door = MediaDoor(serving_of(http).options)
    make, places, names = _make_of(http, request.chat, door), _places(request), _names(request)
    asking = await begin(http, request.chat.model, make, places=places, names=names, opened=door.opened)
    builder = Builder(asking, echo=request.echo, has_logprobs=request.chat.has_logprobs)
    keep = partial(_keep, http, request, messages, items, builder)
    headers = ignored_headers(request.chat.ignored)
    if request.chat.is_stream:
        return ServerSentEvents(stream_response(asking, builder, keep=keep), asking=asking, headers=headers)
    async with asking:
        events = await asking.all_events()
        for event in events[0]:
            for _ in builder.write(event):
                pass
        keep()
        return JsonBody(builder.body, headers=headers)


async def get_response(http: Request) -> Response:
    """Return a response that is kept, whole."""
    if http.query_params.get("stream", "false").lower() not in ("false", "0", ""):
        raise ApiError(
            "invalid_request",
            "stream: expected false, as a response that is kept is not streamed again; found true.",
            param="stream",
        )
    return JsonBody(dict(store_of(http).get(http.path_params["id"], owner=client_of(http)).body))


async def list_input_items(http: Request) -> Response:
    """List what a response that is kept was asked, earlier answers of its conversation included."""
    kept = store_of(http).get(http.path_params["id"], owner=client_of(http))
    return JsonBody(page_of(kept.items, http.query_params))


async def delete_response(http: Request) -> Response:
    """Forget a response."""
    response_id = http.path_params["id"]
    store_of(http).delete(response_id, owner=client_of(http))
    return JsonBody({"id": response_id, "object": "response.deleted", "deleted": True})


async def count_input_tokens(http: Request) -> Response:
    """Count the tokens of a request without running it."""
    request, _, _ = await _read(http)
    door = MediaDoor(serving_of(http).options)
    make, places, names = _make_of(http, request.chat, door), _places(request), _names(request)
    count = await count_tokens(http, request.chat.model, make, places=places, names=names, opened=door.opened)
    return JsonBody({"object": "response.input_tokens", "input_tokens": count})


def store_of(http: Request) -> ResponseStore:
    """Return the store of the server that a request came to."""
    state = http.app.state
    if not hasattr(state, "responses"):
        state.responses = ResponseStore(max_bytes=serving_of(http).options.limits.stored_bytes)
    store = state.responses
    assert isinstance(store, ResponseStore)
    return store


async def _read(http: Request) -> tuple[ResponsesRequest, list[Json], list[Item]]:
    """Read a request and put the conversation before it; return its messages without instructions, and its items."""
    limits = serving_of(http).options.limits
    body = resolve_references(await read_json(http), store=store_of(http), owner=client_of(http))
    request = read_responses_request(body, limits=limits)
    messages = list(request.chat.messages)
    asked: list[Item] = []
    if request.previous_id is not None:
        before = store_of(http).get(request.previous_id, owner=client_of(http), param="previous_response_id")
        messages = [*before.messages, *messages]
        asked = [*before.items, *before.body["output"]]
    first = [] if request.instructions is None else [{"role": "system", "content": request.instructions}]
    earlier = ["previous_response_id"] * (len(messages) - len(request.places))
    refuse_orphans(messages, places=[*earlier, *request.places], may_be_far=True)
    request = replace(request, chat=replace(request.chat, messages=[*first, *messages]))
    return request, messages, listed_items(body.get("input"), before=asked)


def _places(request: ResponsesRequest) -> tuple[str, ...]:
    """Return where the messages stand: before those of `input` are the instructions and an earlier conversation."""
    before = len(request.chat.messages) - len(request.places)
    has_instructions = request.instructions is not None
    earlier = ["instructions"] * has_instructions + ["previous_response_id"] * (before - has_instructions)
    return joined_places(request.chat.messages, [*earlier, *request.places])


def _names(request: ResponsesRequest) -> dict[str, str]:
    """Return what fields and parts are called in `input`; the parts of a call's output stand under another key."""
    messages, places = join_leading(request.chat.messages), _places(request)
    results = [(place, one["content"]) for place, one in enumerate(messages) if one["role"] == "tool"]
    outputs = {
        f"messages[{place}].content[{index}]": f"{places[place]}.output[{index}]"
        for place, content in results
        if isinstance(content, list)
        for index in range(len(content))
    }
    return {**request.chat.names, **outputs, "messages": "input"}


def _make_of(http: Request, chat: ChatRequest, door: MediaDoor) -> partial[list[EngineRequest]]:
    return partial(chat.make, door=door, limits=serving_of(http).options.limits)


def _keep(
    http: Request, request: ResponsesRequest, messages: Sequence[Json], items: Sequence[Item], builder: Builder
) -> None:
    """Keep the conversation with the answer, for a client that may go on from it."""
    if not request.is_stored:
        return
    store_of(http).keep(StoredResponse(client_of(http), [*messages, builder.answer.message()], builder.body, items))
