"""Write the files beside the weights of an MLX folder: configuration, index, sums, card, and copies from the source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from convert.card import README, Card, make_card, make_sums, tool_versions
from convert.mlx.config_out import make_config
from convert.mlx.layout import FolderLayout
from convert.source import SUMS_NAME, Identity
from edge.checkpoint.files.shards import INDEX_NAME
from edge.config import ModelConfig
from edge.config_json import read_json_object
from edge.plan.recipes import Format, Recipe

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
    """How the output is made, for the card: recipe, base format, command line without paths, method in words."""

    recipe: Recipe
    base: Format
    command: str
    how: str


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
    (folder / SUMS_NAME).write_text(make_sums(folder, [shard.name for shard in layout.shards]), encoding="utf-8")
    card = Card(
        library="mlx",
        kind=making.recipe.name,
        sentence=making.recipe.sentence,
        how=making.how,
        command=making.command,
        identity=identity,
        hashes=hashes,
        versions=tool_versions(),
        run=["Run: `python -m edge.chat --model FOLDER`; mlx-vlm reads it too."],
    )
    (folder / README).write_text(make_card(card, config, layout.stored()), encoding="utf-8")
    return [*copied, "config.json", INDEX_NAME, SUMS_NAME, README]
