"""The routes of OpenAI's protocol."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge.server.asking import begin
from edge.server.body import read_json
from edge.server.media import MediaDoor
from edge.server.openai.chat_answer import stream_chat, whole_body
from edge.server.openai.chat_request import read_chat_request
from edge.server.openai.errors import error_body
from edge.server.openai.models import get_model, list_models
from edge.server.protocol import Protocol
from edge.server.serving import serving_of
from edge.server.streams import ServerSentEvents


async def chat_completions(http: Request) -> Response:
    """Answer a conversation."""
    options = serving_of(http).options
    request = read_chat_request(await read_json(http), limits=options.limits)
    make = partial(request.make, door=MediaDoor(options), limits=options.limits)
    asking = await begin(http, request.model, make)
    headers = {"x-ignored-fields": ", ".join(request.ignored)[:500]} if request.ignored else {}
    if request.is_stream:
        pieces = stream_chat(asking, has_usage=request.has_usage, has_logprobs=request.has_logprobs)
        return ServerSentEvents(pieces, asking=asking, headers=headers)
    async with asking:
        answers = await asking.answers()
        return JSONResponse(whole_body(asking, answers, has_logprobs=request.has_logprobs), headers=headers)


PROTOCOL = Protocol(
    name="openai",
    routes=(
        Route("/v1/models", list_models),
        Route("/v1/models/{name:path}", get_model),
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    ),
    owns=lambda path: True,
    error_body=error_body,
)
