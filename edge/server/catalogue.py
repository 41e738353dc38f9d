"""Find the models that a server offers: named ones, those of a folder, those downloaded before, the demo."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge.engine import Engine
from edge.errors import UsageError
from edge.limits import EngineLimits
from edge.memory import available_bytes
from edge.records import dataclass
from edge.server.arguments import ServerOptions
from edge.short_names import spell_out

DEMO = "demo"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that can be loaded.

    Attributes:
        name: What clients call it.
        source: What `edge.load` takes; None for the demo.
        projector: The vision file of a GGUF model, if it was named.
        created: When it was made, in seconds since 1970.
        folder: Where its files lie, of a model that is named by its hub id and was downloaded before.
    """

    name: str
    source: str | None
    projector: Path | None = None
    created: int = 0
    folder: Path | None = None


def list_entries(options: ServerOptions) -> list[ModelEntry]:
    """List the models a server offers; the first is the default.

    Without a model named, that is the best one downloaded before: the largest that fits into memory; else the demo.

    Raises:
        UsageError: Two models have the same name.
    """
    named = [
        _named(source, projector=options.projector if place == 0 else None)
        for place, source in enumerate(options.models)
    ]
    entries: dict[str, ModelEntry] = {}
    for entry in named:
        if entry.name in entries:
            raise UsageError(f"--model: two models are called {entry.name}. Rename a folder.")
        entries[entry.name] = entry
    found = [] if options.models_dir is None else _in_folder(options.models_dir)
    cached = downloaded_models(_cache_folder())
    if not named:
        found = [*best_of(cached, free_bytes=available_bytes()), _demo(), *found]
    for entry in (*found, *cached, _demo()):
        entries.setdefault(entry.name, entry)
    lying = {entry.name: entry for entry in cached}
    return [_where_it_lies(entry, lying) for entry in entries.values()]


def _where_it_lies(entry: ModelEntry, cached: Mapping[str, ModelEntry]) -> ModelEntry:
    """Say of a model that is named by its hub id where its files are; it is still loaded by that id."""
    known = cached.get(entry.name)
    if known is None or known.source is None or entry.source != entry.name:
        return entry
    return replace(entry, created=known.created, folder=Path(known.source))


def downloaded_models(cache: Path) -> list[ModelEntry]:
    """List the checkpoints of this family that lie completely in the hub's cache, by their hub ids."""
    entries = []
    for repository in sorted(cache.glob("models--*--*")):
        try:
            revision = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
        except OSError:
            continue
        folder = repository / "snapshots" / revision
        if revision and is_model_folder(folder) and weight_bytes(folder):
            name = repository.name.removeprefix("models--").replace("--", "/", 1)
            entries.append(ModelEntry(name, str(folder), created=_created(folder)))
    return entries


def best_of(entries: Sequence[ModelEntry], *, free_bytes: int) -> list[ModelEntry]:
    """Return the largest model that leaves a fifth of the free memory to its work; none when there is none."""
    sizes = {entry.name: weight_bytes(Path(entry.source or "")) for entry in entries}
    fitting = [entry for entry in entries if sizes[entry.name] <= 0.8 * free_bytes]
    return [max(fitting, key=lambda entry: sizes[entry.name])] if fitting else []


def weight_bytes(folder: Path) -> int:
    """Count the bytes of a checkpoint's weights; 0 when files of them are missing."""
    files = {path.name: path for path in folder.glob("*.safetensors")}
    index = folder / "model.safetensors.index.json"
    try:
        if index.is_file():
            listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            if not set(listed) <= set(files):
                return 0
        return sum(path.stat().st_size for path in files.values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return 0


def load_entry(entry: ModelEntry, options: ServerOptions) -> Engine:
    """Load a model with the server's limits."""
    from edge.loading import load

    limits = EngineLimits(
        context_tokens=options.context_tokens,
        max_rows=options.rows,
        kv_bits=options.kv_bits,  # type: ignore[arg-type]  # EngineLimits checks it
        keep_folder=options.keep_folder,
        speculate=options.speculates,
    )
    return load(entry.source, projector=entry.projector, draft=options.draft, limits=limits)


def _named(source: str, *, projector: Path | None) -> ModelEntry:
    """Name a model: by its hub id, which a short name stands for, or the last part of a path; "demo" is the demo."""
    path = Path(source).expanduser()
    if path.exists():
        return ModelEntry(path.resolve().name.removesuffix(".gguf"), source, projector, _created(path))
    if source == DEMO:
        return replace(_demo(), projector=projector)
    name = str(spell_out(source))
    return ModelEntry(name, name, projector)


def _demo() -> ModelEntry:
    from edge.loading import DEMO_FOLDER

    return ModelEntry(DEMO, None, created=_created(DEMO_FOLDER))


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


def _cache_folder() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _created(path: Path) -> int:
    try:
        return int(path.expanduser().stat().st_mtime)
    except OSError:
        return 0
