"""List the models, in one answer that clients of OpenAI, Anthropic, llama.cpp and vLLM can read."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edge.server.catalogue import ModelEntry
from edge.server.json_body import JsonBody
from edge.server.models import ModelShelf
from edge.server.serving import serving_of


async def list_models(http: Request) -> Response:
    """List all models."""
    shelf = serving_of(http).models
    data = [_model_body(entry, shelf) for entry in shelf.entries.values()]
    # Anthropic's clients page on until `has_more` is false.
    ends = {"has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
    return JsonBody({"object": "list", "data": data, **ends})


async def get_model(http: Request) -> Response:
    """Describe one model; no name at all, behind a slash, asks for the list."""
    name = http.path_params["name"].rstrip("/")  # of other paths, the router takes a slash at the end away
    if not name:
        return await list_models(http)
    shelf = serving_of(http).models
    return JsonBody(_model_body(shelf.find(name), shelf))


def _model_body(entry: ModelEntry, shelf: ModelShelf) -> dict[str, Any]:  # Any: JSON
    resident = next((one for one in shelf.residents if one.entry.name == entry.name), None)
    body = {
        "id": entry.name,
        "object": "model",
        "type": "model",
        "created": entry.created,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.created)),
        "owned_by": "local",
        "display_name": entry.name,
        "aliases": [alias for alias, name in shelf.aliases.items() if name == entry.name and alias != "*"],
        "architecture": {"input_modalities": ["text", "image", "video"], "output_modalities": ["text"]},
        "is_loaded": resident is not None,
    }
    if resident is not None:
        body["max_model_len"] = resident.engine.context_tokens
        body["meta"] = {"n_ctx": resident.engine.context_tokens}
    return body
