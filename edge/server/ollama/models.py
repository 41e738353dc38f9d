"""Describe the models of this server as Ollama describes its own.

In: entries of the catalogue, and those in memory. Out: JSON of /api/tags, /api/ps and /api/show. Nothing is loaded for
it; of a GGUF model that is not in memory, less is known.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.config_json import read_json_object
from edge.errors import EdgeError
from edge.loading import demo_folder
from edge.prompt.text.template import find_template
from edge.server.catalogue import ModelEntry
from edge.server.models import ModelShelf, Resident
from edge.server.ollama.durations import expiry, timestamp
from edge.server.ollama.thinking import thinks

Json = Any
FAMILIES = {"qwen3_vl": "qwen3vl", "qwen3_vl_moe": "qwen3vlmoe"}
THOUGHT_OPENER = "assistant\\n<think>\\n"
"""How a template that opens a thought ends its prompt, as Jinja writes it."""


def tagged(name: str) -> str:
    """Return a name as Ollama's programs expect it, with a tag."""
    return name if ":" in name else f"{name}:latest"


def tag_body(entry: ModelEntry, resident: Resident | None) -> dict[str, Json]:
    """Return a model's entry of /api/tags."""
    return {
        **_identity(entry),
        "modified_at": timestamp(datetime.fromtimestamp(entry.created, UTC)),
        "details": _details(entry, resident),
        "capabilities": _capabilities(entry, resident),
    }


def running_body(resident: Resident) -> dict[str, Json]:
    """Return a model's entry of /api/ps."""
    identity = _identity(resident.entry)
    at = resident.expires_at
    return {
        **identity,
        "details": _details(resident.entry, resident),
        "expires_at": expiry(None if at is None else max(0.0, at - time.monotonic())),
        "size_vram": identity["size"],
        "context_length": resident.engine.context_tokens,
    }


def show_body(entry: ModelEntry, shelf: ModelShelf) -> dict[str, Json]:
    """Return the answer of /api/show."""
    resident = resident_of(entry, shelf)
    details = _details(entry, resident)
    family = details["family"]
    info: dict[str, Json] = {"general.architecture": family, "general.basename": entry.name}
    if details.get("context_length"):
        info[f"{family}.context_length"] = details["context_length"]
    return {
        "license": "",
        "modelfile": f"FROM {entry.name}\n",
        "parameters": _parameters(resident),
        "template": _template(entry, resident),
        "details": details,
        "model_info": info,
        "capabilities": _capabilities(entry, resident),
        "modified_at": timestamp(datetime.fromtimestamp(entry.created, UTC)),
    }


def resident_of(entry: ModelEntry, shelf: ModelShelf) -> Resident | None:
    """Return a model if it is in memory."""
    return next((one for one in shelf.residents if one.entry.name == entry.name), None)


def _identity(entry: ModelEntry) -> dict[str, Json]:
    name, size = tagged(entry.name), _size_bytes(entry)
    # The name of this state of the files: hashing gigabytes for a list would take minutes.
    digest = hashlib.sha256(f"{entry.source} {size} {entry.created}".encode()).hexdigest()
    return {"name": name, "model": name, "size": size, "digest": digest}


def _details(entry: ModelEntry, resident: Resident | None) -> dict[str, Json]:
    config = _config(entry)
    family = FAMILIES.get(str(config.get("model_type")), "qwen3vl")
    text = config.get("text_config")
    context = resident.engine.context_tokens if resident else None
    if context is None and isinstance(text, dict):
        context = text.get("max_position_embeddings")
    details = {
        "parent_model": "",
        "format": "gguf" if (entry.source or "").endswith(".gguf") else "safetensors",
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": _quantization(config),
    }
    return details | ({"context_length": context} if isinstance(context, int) else {})


def _quantization(config: dict[str, Json]) -> str:
    quantization = config.get("quantization")
    if isinstance(quantization, dict) and isinstance(quantization.get("bits"), int):
        return f"{quantization['bits']}-bit"
    return str(config.get("dtype") or config.get("torch_dtype") or "")


def _capabilities(entry: ModelEntry, resident: Resident | None) -> list[str]:
    is_thinking = thinks(resident.engine) if resident else THOUGHT_OPENER in _template(entry, None)
    return ["completion", "vision", "tools", *(["thinking"] if is_thinking else [])]


def _parameters(resident: Resident | None) -> str:
    """Return one setting a line, as programs parse it."""
    if resident is None:
        return ""
    sampling = resident.engine.default_sampling
    values = {
        "num_ctx": resident.engine.context_tokens,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
    }
    return "\n".join(f"{name:<30} {value}" for name, value in values.items())


def _template(entry: ModelEntry, resident: Resident | None) -> str:
    if resident is not None:
        return resident.engine.processor.template.source
    folder = _folder(entry)
    try:
        return find_template(folder).source if folder else ""
    except EdgeError:
        return ""


def _config(entry: ModelEntry) -> dict[str, Json]:
    folder = _folder(entry)
    try:
        return read_json_object(folder / "config.json") if folder else {}
    except EdgeError:
        return {}


def _folder(entry: ModelEntry) -> Path | None:
    """Return a model's folder if it is one of this computer."""
    path = entry.folder or (demo_folder() if entry.source is None else Path(entry.source).expanduser())
    return path if path.is_dir() else None


def _size_bytes(entry: ModelEntry) -> int:
    folder = _folder(entry)
    try:
        if folder is not None:
            return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        return Path(entry.source or "").expanduser().stat().st_size
    except OSError:
        return 0  # a hub id that was not downloaded before
