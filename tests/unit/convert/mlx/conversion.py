"""Convert tiny folders in this process."""

from __future__ import annotations

import hashlib
from pathlib import Path

from convert.formats import parse_format
from convert.mlx.run import Settings, convert_folder, make_plan
from convert.source import open_source
from edge.config_json import model_config_from_dict
from edge.plan.recipes import RECIPES
from tests.unit.checkpoint.checkpoints import Json, random_parameters, tiny_config_json, write_hub_folder


def settings_of(
    recipe: str = "4bit", *, overrides: dict[str, str] | None = None, is_searched: bool = True, shard_bytes: int = 10**9
) -> Settings:
    chosen = RECIPES[recipe]
    return Settings(
        recipe=chosen,
        base=chosen.format,
        overrides=tuple((pattern, parse_format(name)) for pattern, name in (overrides or {}).items()),
        is_searched=is_searched,
        shard_bytes=shard_bytes,
        command="python -m convert mlx source OUT",
    )


def convert(folder: Path, out: Path, settings: Settings | None = None) -> int:
    """Convert a folder as `python -m convert mlx` does; return the pieces kept from before."""
    settings = settings or settings_of()
    source = open_source(folder, name=str(folder))
    return convert_folder(source, out, settings=settings, plan=make_plan(source.checkpoint.config, settings))


def group_config_json() -> Json:
    """A tiny config whose matrices all split into groups of 64."""
    raw = tiny_config_json()
    raw["text_config"] |= {"num_attention_heads": 8, "moe_intermediate_size": 192, "intermediate_size": 128}
    return raw


def write_source(folder: Path, raw: Json | None = None, *, num_shards: int = 2) -> Path:
    raw = raw or group_config_json()
    return write_hub_folder(folder, raw, random_parameters(model_config_from_dict(raw)), num_shards=num_shards)


def files_of(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Return sha256 by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name not in but
    }
