"""Show a plan."""

from __future__ import annotations

from math import prod

from convert.gguf.plan import Plan


def describe_plan(plan: Plan) -> str:
    """Write a table of files, types and sizes."""
    lines = []
    for file in plan.files:
        num_values = sum(prod(place.tensor.shape) for place in file.places)
        counts: dict[str, list[int]] = {}
        for place in file.places:
            entry = counts.setdefault(place.tensor.type.name, [0, 0])
            entry[0] += 1
            entry[1] += place.tensor.num_bytes
        bits = 8 * file.num_bytes / max(num_values, 1)
        lines.append(f"{file.path}  {file.num_bytes:,} bytes, {bits:.2f} bits per weight")
        for name, (num_tensors, num_bytes) in sorted(counts.items(), key=lambda item: -item[1][1]):
            lines.append(f"  {name:8}{num_tensors:6} tensors {num_bytes:16,} bytes")
    return "\n".join(lines)
