"""Write the files beside the weights: configuration, index, sums, model card, and what is copied from the source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from convert.disk import describe_bytes
from convert.mlx.config_out import make_config
from convert.mlx.layout import FolderLayout
from convert.plan import describe_macs, make_rows, markdown_table
from convert.recipes import Format, Recipe
from convert.source import SUMS_NAME, Identity, sha256_of
from edge.config import ModelConfig
from edge.config_json import read_json_object
from edge.weights.shards import INDEX_NAME

COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
    "LICENSE",
)
# Without one of each line the output cannot answer.
NEEDED = (("tokenizer.json", "vocab.json"), ("preprocessor_config.json", "processor_config.json"))


@dataclass(frozen=True, slots=True)
class Making:
    """How the output is made, for the card: recipe, base format, command line without paths, search or not."""

    recipe: Recipe
    base: Format
    command: str
    is_searched: bool


def tool_versions() -> str:
    """Return the versions that decide the output's bytes."""
    return f"qwen3vl-edge {version('qwen3vl-edge')}, mlx {version('mlx')}"


def missing_companions(folder: Path) -> list[str]:
    """Return what a runnable folder needs and the source lacks."""
    return [names[0] for names in NEEDED if not any((folder / name).is_file() for name in names)]


def write_companions(
    folder: Path,
    *,
    source_folder: Path,
    config: ModelConfig,
    layout: FolderLayout,
    identity: Identity,
    hashes: Mapping[str, str],
    making: Making,
) -> list[str]:
    """Write everything but the weights; return the names.

    Args:
        folder: The output, with complete shards.
        source_folder: Where tokenizer, processor and template files lie.
        config: The source's configuration.
        layout: The output's tensors.
        identity: Where the weights come from.
        hashes: sha256 of the source's shards.
        making: What the card tells.
    """
    copied = [name for name in COPIED if (source_folder / name).is_file()]
    for name in copied:
        shutil.copyfile(source_folder / name, folder / name)
    raw = read_json_object(source_folder / "config.json")
    made = make_config(config, raw, base=making.base, choices=layout.choices)
    (folder / "config.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    (folder / INDEX_NAME).write_bytes(layout.index_json())
    sums = {shard.name: sha256_of(folder / shard.name) for shard in layout.shards}
    (folder / SUMS_NAME).write_text("".join(f"{value}  {name}\n" for name, value in sums.items()), encoding="utf-8")
    card = make_card(config, layout, identity=identity, hashes=hashes, making=making)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return [*copied, "config.json", INDEX_NAME, SUMS_NAME, "README.md"]


def make_card(
    config: ModelConfig,
    layout: FolderLayout,
    *,
    identity: Identity,
    hashes: Mapping[str, str],
    making: Making,
) -> str:
    """Write the model card."""
    scales = "affine scales searched by squared error" if making.is_searched else "plain mx.quantize"
    front = ["---", "library_name: mlx", "pipeline_tag: image-text-to-text", "tags:", "- mlx"]
    if "/" in identity.name:
        front += [f"base_model: {identity.name}"]
    lines = [
        *front,
        "---",
        "",
        f"# {identity.name.split('/')[-1]}, {making.recipe.name}",
        "",
        f"{making.recipe.sentence} {describe_bytes(layout.weight_bytes)}, {layout.bits_per_weight:.2f} bits per weight "
        f"({scales}).",
        "",
        "```",
        making.command,
        "```",
        "",
        f"Source: {identity.name}, revision {identity.revision or 'unknown (a local folder)'}.",
        f"Made with {tool_versions()}. `{SUMS_NAME}` holds the sha256 of the weights here.",
        "Run: `python -m edge.chat --model FOLDER`; mlx-vlm reads it too.",
        "",
        "## Memory",
        "",
        "```",
        *describe_macs(config, layout.weight_bytes),
        "```",
        "",
        "## Tensors",
        "",
        *markdown_table(make_rows(config, layout, is_coarse=False)),
        "",
        "## Source files",
        "",
        "| file | sha256 |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in sorted(hashes.items())),
        "",
    ]
    return "\n".join(lines)
