"""Say what a plan costs and where it runs: groups of tensors, bytes, bits per weight, and Macs with their context.

In: the layout of the output. Out: rows and lines of text. Memory is counted as the runtime's own plan counts it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import mlx.core as mx

from convert.disk import MB
from convert.mlx.layout import FolderLayout
from convert.recipes import format_name
from edge.config import ModelConfig
from edge.memory import (
    GB,
    MACOS_GPU_SHARE,
    RESERVE_BYTES,
    Precision,
    choose_chunk_tokens,
    prefill_bytes,
)
from edge.model.vision import vision_peak_bytes
from edge.weights.names_hf import expected_parameters

MAC_GIB = (8, 16, 24, 32, 36, 48, 64, 96, 128)
_ON_METAL = Precision(itemsize=2, is_attention_fused=True)
_PICTURE = (1, 64, 64)  # 1024 x 1024 pixels
_LEAST_CONTEXT = 2048  # fewer tokens do not hold a picture and an answer


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


def make_rows(config: ModelConfig, layout: FolderLayout, *, is_coarse: bool) -> list[Row]:
    """Put parameters together that are stored alike.

    Args:
        config: The model.
        layout: The output.
        is_coarse: One row for all norms and for all plain parts of the vision tower; otherwise one row per kind of
            tensor, whose name holds the layers.
    """
    shapes = expected_parameters(config)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name, choice in layout.choices.items():
        kind = _coarse_kind(name, shapes[name], is_plain=choice.format is None and not choice.reason)
        kind = kind if is_coarse else re.sub(r"\.\d+\.", ".N.", name)
        groups.setdefault((kind, format_name(choice.format), choice.reason), []).append(name)
    return [
        Row(
            name=kind if is_coarse else kind.replace(".N.", f".{_ranges(names)}."),
            num_tensors=len(names),
            num_weights=sum(prod(shapes[name]) for name in names),
            num_bytes=sum(tensor.num_bytes for name in names for tensor in layout.parts[name].values()),
            format_name=stored,
            reason=reason,
        )
        for (kind, stored, reason), names in groups.items()
    ]


def describe_plan(config: ModelConfig, layout: FolderLayout, *, available: int, here: Precision) -> list[str]:
    """Write the plan.

    Args:
        config: The model.
        layout: The output.
        available: Bytes that new work may use on this machine now.
        here: How this machine computes.
    """
    rows = make_rows(config, layout, is_coarse=True)
    unit, name = (GB, "GB") if layout.weight_bytes >= GB else (MB, "MB")
    lines = [f"{'tensors':34} {'count':>5} {'format':>9} {name:>8} {'bits/weight':>11}"]
    for row in rows:
        note = f"  {row.reason}" if row.reason else ""
        lines.append(
            f"{row.name:34} {row.num_tensors:5} {row.format_name:>9} {row.num_bytes / unit:8.3f} "
            f"{row.bits_per_weight:11.2f}{note}"
        )
    lines += [
        f"{'total':34} {sum(row.num_tensors for row in rows):5} {'':9} {layout.weight_bytes / unit:8.3f} "
        f"{layout.bits_per_weight:11.2f}",
        "",
        f"{layout.weight_bytes:,} bytes of tensors, {layout.file_bytes:,} bytes in {len(layout.shards)} "
        f"{'file' if len(layout.shards) == 1 else 'files'}.",
    ]
    context = context_tokens(config, weight_bytes=layout.weight_bytes, usable_bytes=available, precision=here)
    lines += [f"This machine ({available / GB:.1f} GB free): {_describe_context(context, config)}.", ""]
    return lines + describe_macs(config, layout.weight_bytes)


def here_precision() -> Precision:
    """Return how this machine computes."""
    is_gpu = mx.default_device().type == mx.gpu
    return Precision(itemsize=2 if is_gpu else 4, is_attention_fused=is_gpu)


def describe_macs(config: ModelConfig, weight_bytes: int) -> list[str]:
    """Write which Macs the weights fit with how much context, with one 1024 x 1024 picture at a time."""
    lines = ["Mac memory   context (bf16 cache, nothing else large running)"]
    for gib in MAC_GIB:
        usable = int(MACOS_GPU_SHARE * gib * 2**30) - RESERVE_BYTES
        context = context_tokens(config, weight_bytes=weight_bytes, usable_bytes=usable, precision=_ON_METAL)
        lines.append(f"{gib:7} GB   {_describe_context(context, config)}")
    return lines


def context_tokens(
    config: ModelConfig, *, weight_bytes: int, usable_bytes: int, precision: Precision = _ON_METAL
) -> int:
    """Count the tokens whose keys and values fit beside the weights and the peak of a step.

    Args:
        config: The model.
        weight_bytes: Of the output; floats that a CPU computes in float32 grow a little over that.
        usable_bytes: Memory for all of it.
        precision: Of activations and cache.
    """
    vision = vision_peak_bytes(config.vision, [_PICTURE], value_bytes=precision.itemsize)
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


def _coarse_kind(name: str, shape: tuple[int, ...], *, is_plain: bool) -> str:
    if name.startswith("vision_tower."):
        return "vision tower" if is_plain else re.sub(r"\.\d+\.", ".N.", name.removesuffix(".weight"))
    if len(shape) == 1:
        return "norms"
    short = name.removesuffix(".weight").removeprefix("language_model.").removeprefix("model.")
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
