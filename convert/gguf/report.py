"""Show a plan and its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import TextIO

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


@contextmanager
def progress(num_bytes: int, stream: TextIO) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, nothing elsewhere; yields a function that takes finished bytes."""
    if not stream.isatty():
        yield lambda finished: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream)) as bar:
        task = bar.add_task("writing", total=num_bytes)
        yield lambda finished: bar.advance(task, finished)
