"""Find the models that a server offers: named ones, those of a folder, those downloaded before, the demo."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edge.engine import Engine
from edge.errors import UsageError
from edge.limits import EngineLimits
from edge.server.arguments import ServerOptions

DEMO = "demo"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that can be loaded.

    Attributes:
        name: What clients call it.
        source: What `edge.load` takes; None for the demo.
        projector: The vision file of a GGUF model, if it was named.
        created: When it was made, in seconds since 1970.
    """

    name: str
    source: str | None
    projector: Path | None = None
    created: int = 0


def list_entries(options: ServerOptions) -> list[ModelEntry]:
    """List the models a server offers; the first is the default.

    Raises:
        UsageError: Two models have the same name.
    """
    named = [
        ModelEntry(_name_of(source), source, options.projector if place == 0 else None, _created(Path(source)))
        for place, source in enumerate(options.models)
    ]
    found = [] if options.models_dir is None else _in_folder(options.models_dir)
    entries: dict[str, ModelEntry] = {}
    for entry in named:
        if entry.name in entries:
            raise UsageError(f"--model: two models are called {entry.name}. Rename a folder.")
        entries[entry.name] = entry
    for entry in found:
        entries.setdefault(entry.name, entry)
    entries.setdefault(DEMO, ModelEntry(DEMO, None))
    return list(entries.values())


def load_entry(entry: ModelEntry, options: ServerOptions) -> Engine:
    """Load a model with the server's limits."""
    from edge.loading import load

    limits = EngineLimits(
        context_tokens=options.context_tokens,
        max_rows=options.rows,
        kv_bits=options.kv_bits,  # type: ignore[arg-type]  # EngineLimits checks it
        keep_folder=options.keep_folder,
    )
    return load(entry.source, projector=entry.projector, limits=limits)


def _name_of(source: str) -> str:
    """Name a model: a hub id as it is, a folder or file by its last part."""
    path = Path(source).expanduser()
    return path.resolve().name.removesuffix(".gguf") if path.exists() else source


def _in_folder(folder: Path) -> list[ModelEntry]:
    """List model folders and GGUF files, one or two levels deep, by name."""
    entries = []
    for path in sorted([*folder.iterdir(), *folder.glob("*/*")]):
        name = str(path.relative_to(folder)).removesuffix(".gguf")
        is_projector = "mmproj" in path.name.lower()
        if (path.suffix == ".gguf" and path.is_file() and not is_projector) or is_model_folder(path):
            entries.append(ModelEntry(name, str(path), created=_created(path)))
    return entries


def is_model_folder(path: Path) -> bool:
    """Tell whether a folder holds a checkpoint of this family."""
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and str(config.get("model_type")).startswith("qwen3_vl")


def _created(path: Path) -> int:
    try:
        return int(path.expanduser().stat().st_mtime)
    except OSError:
        return 0
