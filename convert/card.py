"""Write what tells people and programs about an output: its model card, and the sha256 of its files.

In: where the weights come from, how they were made, and what is stored. Out: text, the same for every format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from convert.disk import describe_bytes
from convert.plan import Stored, bits_per_weight, describe_macs, make_rows, markdown_table
from convert.source import SUMS_NAME, Identity, sha256_of
from edge.config import ModelConfig

README = "README.md"


@dataclass(frozen=True, slots=True)
class Card:
    """What a card tells.

    Attributes:
        library: As the hub calls it: `mlx` or `gguf`.
        kind: Recipe or type.
        sentence: What it is, for people.
        how: How the numbers were chosen, in a few words.
        command: The command line, without paths.
        identity: Where the weights come from.
        hashes: sha256 of the source's weight files.
        versions: Of the programs that decide the bytes.
        run: Lines that say how the output is run.
    """

    library: str
    kind: str
    sentence: str
    how: str
    command: str
    identity: Identity
    hashes: Mapping[str, str]
    versions: str
    run: Sequence[str]


def make_card(card: Card, config: ModelConfig, stored: Sequence[Stored]) -> str:
    """Write the model card."""
    weight_bytes = sum(item.num_bytes for item in stored)
    identity = card.identity
    front = ["---", f"library_name: {card.library}", "pipeline_tag: image-text-to-text", "tags:", f"- {card.library}"]
    if "/" in identity.name:
        front += [f"base_model: {identity.name}"]
    lines = [
        *front,
        "---",
        "",
        f"# {identity.name.split('/')[-1]}, {card.kind}",
        "",
        f"{card.sentence} {describe_bytes(weight_bytes)}, {bits_per_weight(stored):.2f} bits per weight ({card.how}).",
        "",
        "```",
        card.command,
        "```",
        "",
        f"Source: {identity.name}, revision {identity.revision or 'unknown (a local folder)'}.",
        f"Made with {card.versions}. `{SUMS_NAME}` holds the sha256 of the weights here.",
        *card.run,
        "",
        "## Memory",
        "",
        "```",
        *describe_macs(config, weight_bytes),
        "```",
        "",
        "## Tensors",
        "",
        *markdown_table(make_rows(stored, is_coarse=False)),
        "",
        "## Source files",
        "",
        "| file | sha256 |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in sorted(card.hashes.items())),
        "",
    ]
    return "\n".join(lines)


def make_sums(folder: Path, names: Iterable[str], *, former: str = "") -> str:
    """Write the sha256 of files, as `sha256sum --check` reads them.

    Args:
        folder: Where the files lie now.
        names: The files.
        former: Lines that stand there already; those about other files are kept.
    """
    sums = {name: sha256_of(folder / name) for name in names}
    others = [line for line in former.splitlines() if line.strip() and _name_of(line) not in sums]
    return "".join(f"{line}\n" for line in (*others, *(f"{value}  {name}" for name, value in sums.items())))


def tool_versions() -> str:
    """Return the versions that decide the bytes of an MLX folder."""
    return f"qwen3vl-edge {version('qwen3vl-edge')}, mlx {version('mlx')}"


def _name_of(line: str) -> str:
    return line.partition(" ")[2].strip().lstrip("*").removeprefix("./")
