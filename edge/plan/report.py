"""Write plans as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from edge.config_context import MOST_STRETCH
from edge.memory import GB
from edge.plan.advice import LEAST_CONTEXT, advise, most_context
from edge.plan.checkpoint import Planned, Variant
from edge.plan.estimate import Estimate, Task, estimate
from edge.plan.machine import Machine

FIRST_CHOICES = ("235B-A22B", "30B-A3B", "8B", "4B", "2B")
"""Sizes from the largest on, without the 32B: the 30B-A3B takes the same memory and reads a tenth of it for a token."""
_PARTS = {
    "weights": "weights",
    "keys_values": "keys and values of {context:,} tokens{bits}",
    "chunk": "reading the prompt, {chunk:,} tokens at a time",
    "vision": "the vision tower at work",
    "features": "what it saw ({image:,} tokens)",
    "decoding": "decoding and resizing the picture",
    "spare": "buffers MLX keeps while it answers",
}


def variant_json(model: Planned, variant: Variant, task: Task, machine: Machine) -> dict[str, Any]:  # Any: JSON
    """Return one variant's plan as JSON: parts and peak in bytes, whether it fits, and what would."""
    found = estimate(model.config, task, weight_bytes=variant.weight_bytes, precision=machine.precision)
    parts = {name: size for name, size in asdict(found).items() if name in _PARTS}
    return {
        "model": model.name,
        "recipe": variant.name,
        "machine": machine.name,
        "usable_bytes": machine.usable_bytes,
        "context_tokens": task.context_tokens,
        "kv_bits": task.kv_bits,
        "image": None if task.image is None else {"height": task.image[0], "width": task.image[1]},
        "bytes": parts,
        "peak_bytes": found.peak_bytes,
        "fits": found.peak_bytes <= machine.usable_bytes,
        "most_context_tokens": longest(model, variant, task, machine),
        "would_fit": advise(model.config, task, weight_bytes=variant.weight_bytes, machine=machine),
    }


def describe(model: Planned, variant: Variant, task: Task, machine: Machine) -> tuple[list[str], bool]:
    """Write one variant's plan in full; tell whether it fits."""
    found = estimate(model.config, task, weight_bytes=variant.weight_bytes, precision=machine.precision)
    values = {"context": task.context_tokens, "chunk": found.chunk_tokens, "image": found.image_tokens}
    bits = f" at {task.kv_bits} bits" if task.kv_bits else ""
    lines = [f"{model.name}, {variant.name}, on {machine.name}:"]
    for name, text in _PARTS.items():
        size = getattr(found, name)
        if size:
            lines.append(f"  {size / GB:8.3f} GB  {text.format(**values, bits=bits)}")
    lines.append(f"  {found.peak_bytes / GB:8.3f} GB  at the worst moment (not all of these come together)")
    lines.append(f"  {machine.usable_bytes / GB:8.3f} GB  usable there")
    fits = found.peak_bytes <= machine.usable_bytes
    lines.append(_verdict(model, variant, task, machine, found))
    return lines, fits


def _verdict(model: Planned, variant: Variant, task: Task, machine: Machine, found: Estimate) -> str:
    spare = machine.usable_bytes - found.peak_bytes
    if spare >= 0:
        return f"It fits, with {spare / GB:.2f} GB to spare; up to {longest(model, variant, task, machine):,} tokens."
    advice = advise(model.config, task, weight_bytes=variant.weight_bytes, machine=machine)
    would = "; or ".join(advice) if advice else "nothing here: take a smaller model or a larger machine"
    return f"It does not fit: {-spare / GB:.2f} GB are missing. What would fit: {would}."


def table(models: Sequence[Planned], task: Task, machine: Machine) -> list[str]:
    """Write one line per model and variant: weights, peak at the task, and the longest context that fits."""
    bits = f", keys and values at {task.kv_bits} bits" if task.kv_bits else ""
    picture = "" if task.image is None else f", one picture of {task.image[1]}x{task.image[0]}"
    where = f"On {machine.name} ({machine.usable_bytes / GB:.1f} GB usable)"
    lines = [
        f"{where}, {task.context_tokens:,} tokens{bits}{picture}:",
        f"{'model':20} {'recipe':12} {'weights':>9} {'peak':>9}  fits",
    ]
    for model in models:
        for variant in model.variants:
            found = estimate(model.config, task, weight_bytes=variant.weight_bytes, precision=machine.precision)
            most = longest(model, variant, task, machine)
            said = f"up to {most:,} tokens" if most >= LEAST_CONTEXT else "no"
            if found.peak_bytes > machine.usable_bytes and most >= LEAST_CONTEXT:
                said = f"only {most:,} tokens"
            sizes = f"{found.weights / GB:6.2f} GB {found.peak_bytes / GB:6.2f} GB"
            lines.append(f"{model.name:20} {variant.name:12} {sizes}  {said}")
    return lines


def suggest(models: Sequence[Planned], task: Task, machine: Machine) -> list[str]:
    """Say in a line which published model to begin with; none where none fits in 4 bits or they are not planned.

    Args:
        models: All that were planned.
        task: What is asked.
        machine: Where it should run.
    """
    known = {model.name.removeprefix("Qwen3-VL-"): model for model in models}
    for size in FIRST_CHOICES:
        for variant in known[size].variants if size in known else ():
            found = estimate(known[size].config, task, weight_bytes=variant.weight_bytes, precision=machine.precision)
            if variant.name == "4bit" and found.peak_bytes <= machine.usable_bytes:
                short = size.split("-")[0].lower()
                download = f"{known[size].name} in 4bit, a download of {found.weights / GB:.1f} GB"
                return ["", f"To begin with: python -m edge.chat --model {short}    ({download})"]
    return []


def longest(model: Planned, variant: Variant, task: Task, machine: Machine) -> int:
    """Find the longest context that fits, up to the model's own."""

    def fits(changed: Task) -> bool:
        found = estimate(model.config, changed, weight_bytes=variant.weight_bytes, precision=machine.precision)
        return found.peak_bytes <= machine.usable_bytes

    own = model.config.text.max_position_embeddings
    most = own if task.context_tokens <= own else MOST_STRETCH * own
    return most_context(replace(task, context_tokens=most), fits)
