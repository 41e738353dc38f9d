"""Say what a plan costs and where it runs: groups of tensors, bytes, bits per weight, and Macs with their context.

In: what the output stores, of whatever format. Out: rows and lines of text. Memory is counted as the runtime's own plan
counts it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from convert.disk import MB
from edge.checkpoint.names.ops import Shape
from edge.config import ModelConfig
from edge.memory import (
    GB,
    MACOS_GPU_SHARE,
    RESERVE_BYTES,
    Precision,
    choose_chunk_tokens,
    prefill_bytes,
    vision_bytes,
)
from edge.plan.machine import ON_METAL

MAC_GIB = (8, 16, 24, 32, 36, 48, 64, 96, 128)
_PICTURE = (1, 64, 64)  # 1024 x 1024 pixels
_LEAST_CONTEXT = 2048  # fewer tokens do not hold a picture and an answer


@dataclass(frozen=True, slots=True)
class Stored:
    """A parameter in the output: its unpacked shape, bytes, format, and why it is so where that is not the rule."""

    name: str
    shape: Shape
    num_bytes: int
    format_name: str
    reason: str = ""
    is_packed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Parameters of one kind and format: name, how many, numbers, bytes, format, and why it is so."""

    name: str
    num_tensors: int
    num_weights: int
    num_bytes: int
    format_name: str
    reason: str

    @property
    def bits_per_weight(self) -> float:
        """Bits in the file for each number of the model, scales included."""
        return 8 * self.num_bytes / self.num_weights


def make_rows(stored: Sequence[Stored], *, is_coarse: bool) -> list[Row]:
    """Put parameters together that are stored alike.

    Args:
        stored: Everything in the output.
        is_coarse: One row for all norms and for all plain parts of the vision tower; otherwise one row per kind of
            tensor, whose name holds the layers.
    """
    groups: dict[tuple[str, str, str], list[Stored]] = {}
    for item in stored:
        kind = _coarse_kind(item) if is_coarse else re.sub(r"\.\d+\.", ".N.", item.name)
        groups.setdefault((kind, item.format_name, item.reason), []).append(item)
    return [
        Row(
            name=kind if is_coarse else kind.replace(".N.", f".{_ranges([item.name for item in items])}."),
            num_tensors=len(items),
            num_weights=sum(prod(item.shape) for item in items),
            num_bytes=sum(item.num_bytes for item in items),
            format_name=format_name,
            reason=reason,
        )
        for (kind, format_name, reason), items in groups.items()
    ]


def describe_plan(
    config: ModelConfig, stored: Sequence[Stored], *, files: Sequence[int], available: int, here: Precision
) -> list[str]:
    """Write the plan.

    Args:
        config: The model.
        stored: Everything in the output.
        files: Bytes of each file.
        available: Bytes that new work may use on this machine now.
        here: How this machine computes.
    """
    weight_bytes = sum(item.num_bytes for item in stored)
    lines = [
        *_table(make_rows(stored, is_coarse=True), stored),
        "",
        f"{weight_bytes:,} bytes of tensors, {sum(files):,} bytes in {len(files)} "
        f"{'file' if len(files) == 1 else 'files'}.",
    ]
    context = context_tokens(config, weight_bytes=weight_bytes, usable_bytes=available, precision=here)
    lines += [f"This machine ({available / GB:.1f} GB free): {_describe_context(context, config)}.", ""]
    return lines + describe_macs(config, weight_bytes)


def _table(rows: Sequence[Row], stored: Sequence[Stored]) -> list[str]:
    """Write a line for each row, and their sum."""
    weight_bytes = sum(row.num_bytes for row in rows)
    unit, name = size_unit(weight_bytes)
    wide = max(34, *(len(row.name) for row in rows))
    lines = [f"{'tensors':{wide}} {'count':>5} {'format':>9} {name:>8} {'bits/weight':>11}"]
    for row in rows:
        note = f"  {row.reason}" if row.reason else ""
        lines.append(
            f"{row.name:{wide}} {row.num_tensors:5} {row.format_name:>9} {row.num_bytes / unit:8.3f} "
            f"{row.bits_per_weight:11.2f}{note}"
        )
    total = f"{'total':{wide}} {len(stored):5} {'':9} {weight_bytes / unit:8.3f} {bits_per_weight(stored):11.2f}"
    return [*lines, total]


def size_unit(num_bytes: int) -> tuple[int, str]:
    """Choose the unit in which a table tells sizes: bytes of it, and its name."""
    return (GB, "GB") if num_bytes >= GB else (MB, "MB")


def bits_per_weight(stored: Sequence[Stored]) -> float:
    """Return the bits in the files for each number of the model, scales included."""
    return 8 * sum(item.num_bytes for item in stored) / sum(prod(item.shape) for item in stored)


def describe_macs(config: ModelConfig, weight_bytes: int) -> list[str]:
    """Write which Macs the weights fit with how much context, with one 1024 x 1024 picture at a time."""
    lines = ["Mac memory   context (16-bit cache, nothing else large running)"]
    for gib, context in mac_contexts(config, weight_bytes).items():
        lines.append(f"{gib:7} GB   {_describe_context(context, config)}")
    return lines


def mac_contexts(config: ModelConfig, weight_bytes: int) -> dict[int, int]:
    """Return memory of a Mac in GiB -> tokens of context beside the weights; 0 where they do not fit."""
    contexts = {}
    for gib in MAC_GIB:
        usable = int(MACOS_GPU_SHARE * gib * 2**30) - RESERVE_BYTES
        tokens = context_tokens(config, weight_bytes=weight_bytes, usable_bytes=usable, precision=ON_METAL)
        contexts[gib] = tokens if tokens >= _LEAST_CONTEXT else 0
    return contexts


def context_tokens(
    config: ModelConfig, *, weight_bytes: int, usable_bytes: int, precision: Precision = ON_METAL
) -> int:
    """Count the tokens whose keys and values fit beside the weights and the peak of a step.

    Args:
        config: The model.
        weight_bytes: Of the output; floats that a CPU computes in float32 grow a little over that.
        usable_bytes: Memory for all of it.
        precision: Of activations and cache.
    """
    vision = vision_bytes(config.vision, _PICTURE, precision=precision)
    chunk = choose_chunk_tokens(config.text, precision=precision, context_tokens=_LEAST_CONTEXT)
    prefill = prefill_bytes(config.text, precision=precision, chunk_tokens=chunk, context_tokens=_LEAST_CONTEXT)
    free = usable_bytes - weight_bytes - max(vision, prefill)
    tokens = free // (config.text.kv_values_per_token * precision.itemsize)
    return max(0, min(tokens, config.text.max_position_embeddings))


def markdown_table(rows: Sequence[Row]) -> list[str]:
    """Write rows as a Markdown table."""
    lines = ["| tensors | count | format | bytes | bits per weight | why |", "|---|---:|---|---:|---:|---|"]
    for row in rows:
        lines.append(
            f"| `{row.name}` | {row.num_tensors} | {row.format_name} | {row.num_bytes:,} | "
            f"{row.bits_per_weight:.2f} | {row.reason} |"
        )
    return lines


def _describe_context(tokens: int, config: ModelConfig) -> str:
    if tokens < _LEAST_CONTEXT:
        return "does not fit"
    if tokens == config.text.max_position_embeddings:
        return f"fits, with the whole context of {tokens:,} tokens"
    return f"fits, with {tokens // 1024 * 1024:,} tokens of context"


def _coarse_kind(item: Stored) -> str:
    if item.name.startswith("vision_tower."):
        is_plain = not item.is_packed and not item.reason
        return "vision tower" if is_plain else re.sub(r"\.\d+\.", ".N.", item.name.removesuffix(".weight"))
    if len(item.shape) == 1:
        return "norms"
    short = item.name.removesuffix(".weight").removeprefix("language_model.").removeprefix("model.")
    return re.sub(r"^layers\.\d+\.", "", short)


def _ranges(names: Sequence[str]) -> str:
    """Write the first number in each name as ranges: {0-5,42-47}."""
    numbers = sorted(int(match.group(1)) for name in names if (match := re.search(r"\.(\d+)\.", name)))
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return shown if len(numbers) == 1 else f"{{{shown}}}"
