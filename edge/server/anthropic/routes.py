"""The routes of Anthropic's protocol; /v1/models, which it shares, is OpenAI's."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.server.anthropic.answer import MessageEvents, message_body, stream_message
from edge.server.anthropic.errors import error_body
from edge.server.anthropic.request import read_messages_request
from edge.server.anthropic.schemas import PATHS, SCHEMAS
from edge.server.asking import begin, count_tokens
from edge.server.body import read_json
from edge.server.json_body import JsonBody
from edge.server.media import MediaDoor
from edge.server.openai.said import ignored_headers
from edge.server.protocol import Protocol
from edge.server.serving import serving_of


async def messages(http: Request) -> Response:
    """Answer a conversation."""
    options = serving_of(http).options
    request = read_messages_request(await read_json(http), limits=options.limits)
    door = MediaDoor(options)
    make = partial(request.make, door=door, limits=options.limits)
    asking = await begin(http, request.model, make, places=request.places, names=request.names, opened=door.opened)
    headers, is_shown = ignored_headers(request.ignored), request.thinking.is_shown
    if request.is_stream:
        pieces = stream_message(asking, is_thought_shown=is_shown)
        return MessageEvents(pieces, asking=asking, headers=headers)
    async with asking:
        (events,) = await asking.all_events()
        body = message_body(
            events,
            model=asking.model.entry.name,
            context_tokens=asking.engine.context_tokens,
            is_thought_shown=is_shown,
        )
        return JsonBody(body, headers=headers)


async def count(http: Request) -> Response:
    """Count the tokens of a conversation without answering it."""
    options = serving_of(http).options
    request = read_messages_request(await read_json(http), limits=options.limits)
    door = MediaDoor(options)
    make = partial(request.question, door=door, limits=options.limits)
    tokens = await count_tokens(
        http, request.model, make, places=request.places, names=request.names, opened=door.opened
    )
    return JsonBody({"input_tokens": tokens})


PROTOCOL = Protocol(
    name="anthropic",
    routes=(
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/messages/count_tokens", count, methods=["POST"]),
    ),
    owns=lambda path: path == "/v1/messages" or path.startswith("/v1/messages/"),
    error_body=error_body,
    paths=PATHS,
    schemas=SCHEMAS,
)
