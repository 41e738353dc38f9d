"""Find the models on this machine: in the hub's cache and in a folder of models.

In: the folders. Out: names and sizes. Only file names, sizes and the kind in config.json are looked at.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.records import dataclass

KINDS = ("qwen3_vl", "qwen3_vl_moe")
MAX_CONFIG_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on this machine.

    Attributes:
        name: What `--model` takes.
        path: Where it is.
        weight_bytes: Bytes of its weight files.
    """

    name: str
    path: Path
    weight_bytes: int


def find_models(models_dir: Path | None) -> list[FoundModel]:
    """List the models in the hub's cache and in a folder of models, the smallest first."""
    found = {model.name: model for model in _in_cache(hub_cache())}
    if models_dir is not None:
        found |= {model.name: model for model in _in_folder(models_dir)}
    return sorted(found.values(), key=lambda model: (model.weight_bytes, model.name))


def find_in_folder(name: str, models_dir: Path | None) -> Path | None:
    """Find a model by the name of its folder or file in the folder of models."""
    if models_dir is None or "/" in name or name in ("", ".", ".."):
        return None
    path = models_dir / name
    return path if path.exists() else None


def find_in_cache(hub_id: str) -> FoundModel | None:
    """Find a hub id whose weights were downloaded before."""
    return next((model for model in _in_cache(hub_cache(), only=hub_id)), None)


def hub_cache() -> Path:
    """Return the folder of the hub's cache, as its client chooses it."""
    if given := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(given).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.path.expanduser(home)) / "hub"


def _in_cache(cache: Path, *, only: str | None = None) -> Iterator[FoundModel]:
    pattern = "models--*--*" if only is None else "models--" + only.replace("/", "--")
    with suppress(OSError):
        for repository in sorted(cache.glob(pattern)):
            snapshots = [path for path in (repository / "snapshots").glob("*") if path.is_dir()]
            snapshots.sort(key=lambda path: path.stat().st_mtime_ns)
            name = "/".join(repository.name.split("--")[1:])
            if snapshots and (model := _folder_model(name, snapshots[-1])):
                yield model


def _in_folder(models_dir: Path) -> Iterator[FoundModel]:
    with suppress(OSError):
        for path in sorted(models_dir.iterdir()):
            if path.is_dir():
                if model := _folder_model(path.name, path):
                    yield model
            elif path.suffix == ".gguf" and "mmproj" not in path.name.lower():
                yield FoundModel(path.name, path, path.stat().st_size)


def _folder_model(name: str, folder: Path) -> FoundModel | None:
    """Look at a folder; None if it is no model of this family, or its weights are not (all) there."""
    config = folder / "config.json"
    try:
        if config.stat().st_size > MAX_CONFIG_BYTES:
            return None
        kind = json.loads(config.read_bytes()).get("model_type")
        weight_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    except (OSError, ValueError, AttributeError):
        return None
    return FoundModel(name, folder, weight_bytes) if kind in KINDS and weight_bytes else None
