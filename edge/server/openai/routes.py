"""The routes of OpenAI's protocol."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.server.asking import begin, count_tokens
from edge.server.body import read_json
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.json_body import JsonBody
from edge.server.media import MediaDoor
from edge.server.openai.chat_answer import stream_chat, whole_body
from edge.server.openai.chat_request import read_chat_request
from edge.server.openai.completions import completions
from edge.server.openai.errors import error_body
from edge.server.openai.models import get_model, list_models
from edge.server.openai.responses import (
    count_input_tokens,
    create_response,
    delete_response,
    get_response,
    list_input_items,
)
from edge.server.openai.said import ignored_headers
from edge.server.openai.schemas import PATHS, SCHEMAS
from edge.server.protocol import Protocol
from edge.server.serving import serving_of
from edge.server.streams import ServerSentEvents


async def chat_completions(http: Request) -> Response:
    """Answer a conversation."""
    options = serving_of(http).options
    request = read_chat_request(await read_json(http), limits=options.limits)
    door = MediaDoor(options)
    make = partial(request.make, door=door, limits=options.limits)
    asking = await begin(http, request.model, make, places=request.places, names=request.names, opened=door.opened)
    headers = ignored_headers(request.ignored)
    if request.is_stream:
        pieces = stream_chat(asking, has_usage=request.has_usage, has_logprobs=request.has_logprobs)
        return ServerSentEvents(pieces, asking=asking, headers=headers)
    async with asking:
        body = whole_body(
            asking.engine,
            await asking.all_events(),
            model=asking.model.entry.name,
            has_logprobs=request.has_logprobs,
        )
        return JsonBody(body, headers=headers)


async def count_chat_tokens(http: Request) -> Response:
    """Count the tokens of a conversation without answering it."""
    options = serving_of(http).options
    request = read_chat_request(await read_json(http), limits=options.limits)
    door = MediaDoor(options)
    make = partial(request.make, door=door, limits=options.limits)
    count = await count_tokens(
        http, request.model, make, places=request.places, names=request.names, opened=door.opened
    )
    return JsonBody({"input_tokens": count})


async def no_embeddings(http: Request) -> Response:
    """Say that there are no embeddings."""
    fields = Fields(await read_json(http))
    entry = serving_of(http).models.find(fields.text("model"))
    raise ApiError(
        "not_supported",
        f"Model {entry.name} answers questions and gives no embeddings. Use a model made for embeddings.",
        code="no_embeddings",
    )


PROTOCOL = Protocol(
    name="openai",
    routes=(
        Route("/v1/models", list_models),
        Route("/v1/models/{name:path}", get_model),
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/chat/completions/input_tokens", count_chat_tokens, methods=["POST"]),
        Route("/v1/completions", completions, methods=["POST"]),
        Route("/v1/responses", create_response, methods=["POST"]),
        Route("/v1/responses/input_tokens", count_input_tokens, methods=["POST"]),
        Route("/v1/responses/{id}", get_response, methods=["GET"]),
        Route("/v1/responses/{id}", delete_response, methods=["DELETE"]),
        Route("/v1/responses/{id}/input_items", list_input_items, methods=["GET"]),
        Route("/v1/embeddings", no_embeddings, methods=["POST"]),
    ),
    owns=lambda path: True,
    error_body=error_body,
    paths=PATHS,
    schemas=SCHEMAS,
)
