"""The routes of Ollama's protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from edge.server.asking import begin
from edge.server.body import read_json
from edge.server.catalogue import ModelEntry
from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.json_body import JsonBody
from edge.server.media import MediaDoor
from edge.server.ollama.answer import Heading, Kind, stream_answer, whole_answer
from edge.server.ollama.errors import error_body
from edge.server.ollama.models import resident_of, running_body, show_body, tag_body, tagged
from edge.server.ollama.request import OllamaRequest, read_chat, read_generate
from edge.server.ollama.schemas import PATHS, SCHEMAS
from edge.server.openai.said import ignored_headers
from edge.server.protocol import Json, Protocol
from edge.server.serving import serving_of
from edge.server.streams import JsonLines, json_line

OLLAMA_VERSION = "0.13.0"
"""The version of Ollama whose protocol this is like; programs refuse older ones."""


async def chat(http: Request) -> Response:
    """Answer a conversation."""
    request = read_chat(await read_json(http), limits=serving_of(http).options.limits)
    return await _answer(http, request, "chat")


async def generate(http: Request) -> Response:
    """Answer one prompt."""
    request = read_generate(await read_json(http), limits=serving_of(http).options.limits)
    return await _answer(http, request, "generate")


async def tags(http: Request) -> Response:
    """List all models."""
    shelf = serving_of(http).models
    found = [(entry, resident_of(entry, shelf)) for entry in shelf.entries.values()]
    bodies = await asyncio.to_thread(lambda: [tag_body(entry, resident) for entry, resident in found])
    return JsonBody({"models": bodies})


async def running(http: Request) -> Response:
    """List the models in memory."""
    return JsonBody({"models": [running_body(one) for one in serving_of(http).models.residents]})


async def show(http: Request) -> Response:
    """Describe one model."""
    fields = Fields(await read_json(http))
    entry = _named(http, fields)
    return JsonBody(await asyncio.to_thread(show_body, entry, serving_of(http).models))


async def version(_http: Request) -> Response:
    """Say which Ollama this is like."""
    return JsonBody({"version": OLLAMA_VERSION})


async def pull(http: Request) -> Response:
    """Say that a model is there; nothing is downloaded at a client's wish."""
    fields = Fields(await read_json(http))
    is_stream = fields.flag("stream", default=True)
    try:
        _named(http, fields)
    except ApiError as error:
        if error.kind != "not_found":
            raise
        raise ApiError(
            "not_found",
            f"{error} This server downloads no models: put the model's folder or GGUF files on its computer and start "
            "it with --model or --models-dir.",
            param="model",
            code="model_not_found",
        ) from None
    if is_stream:
        return StreamingResponse(_success(), media_type=JsonLines.media_type)
    return JsonBody({"status": "success"})


async def no_embeddings(http: Request) -> Response:
    """Say that there are no embeddings."""
    entry = _named(http, Fields(await read_json(http)))
    raise ApiError(
        "not_supported",
        f"Model {entry.name} answers questions and gives no embeddings. Use a model made for embeddings.",
        code="no_embeddings",
    )


async def not_here(http: Request) -> Response:
    """Say that models are not made, copied or deleted by clients."""
    raise ApiError(
        "permission",
        f"{http.url.path}: clients do not change this server's models. Change its folder of models instead.",
        code="models_fixed",
    )


async def _answer(http: Request, request: OllamaRequest, kind: Kind) -> Response:
    """Answer a request of either kind, or load or unload its model."""
    serving = serving_of(http)
    entry = serving.models.find(request.model)
    resident = resident_of(entry, serving.models)
    if request.is_load and request.keep_alive_s == 0:
        if resident is not None:
            resident.keep_alive_s = 0.0  # whoever uses it is served first
            await serving.models.unload(entry.name)
        return _only_line(request, Heading(kind, request.model or tagged(entry.name)).done("unload"))
    started, limits = time.perf_counter(), serving.options.limits
    make = partial(request.make, door=MediaDoor(serving.options), limits=limits)  # pictures only, so no part moves
    keep_alive_s, places, names = request.keep_alive_s, request.places, request.names
    asking = await begin(http, request.model, make, keep_alive_s=keep_alive_s, places=places, names=names)
    load_s = asking.model.loaded_s if resident is None else 0.0
    heading = Heading(kind, request.model or tagged(entry.name), load_s, started)
    headers, has_logprobs = ignored_headers(request.ignored), request.top_logprobs is not None
    if request.is_stream and not request.is_load:
        return JsonLines(stream_answer(asking, heading, has_logprobs=has_logprobs), asking=asking, headers=headers)
    async with asking:
        if request.is_load:
            return _only_line(request, heading.done("load"))
        return JsonBody(await whole_answer(asking, heading, has_logprobs=has_logprobs), headers=headers)


def _only_line(request: OllamaRequest, line: Json) -> Response:
    """Answer in one object, as a line if the client reads lines."""
    media_type = JsonLines.media_type if request.is_stream else "application/json"
    return Response(json_line(line), media_type=media_type, headers=ignored_headers(request.ignored))


async def _success() -> AsyncIterator[bytes]:
    for status in ("pulling manifest", "success"):
        yield json_line({"status": status})


def _named(http: Request, fields: Fields) -> ModelEntry:
    """Return the model that a body names, under the new key or the old one."""
    name = fields.text("model") or fields.text("name")
    if not name:
        raise ApiError("invalid_request", "model: expected the name of a model, found none.", param="model")
    return serving_of(http).models.find(name)


PROTOCOL = Protocol(
    name="ollama",
    routes=(
        Route("/api/chat", chat, methods=["POST"]),
        Route("/api/generate", generate, methods=["POST"]),
        Route("/api/tags", tags),
        Route("/api/ps", running),
        Route("/api/show", show, methods=["POST"]),
        Route("/api/version", version),
        Route("/api/pull", pull, methods=["POST"]),
        Route("/api/embed", no_embeddings, methods=["POST"]),
        Route("/api/embeddings", no_embeddings, methods=["POST"]),
        *(Route(f"/api/{name}", not_here, methods=["POST"]) for name in ("create", "copy", "push")),
        Route("/api/delete", not_here, methods=["DELETE"]),
    ),
    owns=lambda path: path.startswith("/api/"),
    error_body=error_body,
    paths=PATHS,
    schemas=SCHEMAS,
)
