"""Convert: read pieces, quantize, write, and give the folder its name when everything is there.

In: an opened source and settings. Out: the finished folder. A few threads work on a piece each, so that reading,
computing and writing overlap; memory holds their pieces and nothing else of the model.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from convert.disk import Extent, explain_disk_errors
from convert.final import FinalFolder
from convert.mlx.card import Making, tool_versions, write_companions
from convert.mlx.layout import SHARD_BYTES, FolderLayout, lay_out_folder
from convert.mlx.quantize import array_bytes, quantize_rows
from convert.partial import Claim, PartialOutput
from convert.pieces import Piece, read_piece
from convert.progress import Progress
from convert.recipes import Format, Recipe, choose_formats, format_name
from convert.source import Source
from edge.config import ModelConfig
from edge.weights.folder import Checkpoint

_MAX_LANES = 4
_CACHE_BYTES = 2**27  # freed buffers that MLX keeps for the next piece
Numbered = tuple[int, Piece]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asks for.

    Attributes:
        recipe: The named policy.
        base: Format of the decoder's matrices: the recipe's, or of --bits, --group-size and --mode.
        overrides: Patterns and formats of --set.
        is_searched: Whether affine scales are searched.
        shard_bytes: Bound of one output file.
        command: The command line for the card.
    """

    recipe: Recipe
    base: Format
    overrides: tuple[tuple[str, Format], ...] = ()
    is_searched: bool = True
    shard_bytes: int = SHARD_BYTES
    command: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be written."""

    config: ModelConfig
    layout: FolderLayout


def make_plan(config: ModelConfig, settings: Settings) -> Plan:
    """Plan the output without reading a weight.

    Raises:
        UsageError: An override fits nothing.
    """
    choices = choose_formats(config, base=settings.base, recipe=settings.recipe, overrides=settings.overrides)
    return Plan(config, lay_out_folder(config, choices, shard_bytes=settings.shard_bytes))


def convert_folder(source: Source, out: Path, *, settings: Settings, plan: Plan, claim: Claim | None = None) -> int:
    """Write the output folder, or go on with an unfinished one.

    Args:
        source: An opened checkpoint.
        out: Final name of the folder.
        settings: What was asked for.
        plan: Made from the same settings.
        claim: The unfinished folder, where it is held already.

    Returns:
        How many pieces were kept from an earlier, interrupted run.

    Raises:
        UsageError: OUT exists, or its unfinished folder belongs to other settings.
        WeightError: A shard is damaged.
        OutputError: The disk is full or fails.
    """
    pieces = source.pieces()
    sizes = [_source_bytes(source, piece) for piece in pieces]
    progress = Progress(total_bytes=sum(sizes), total_items=len(plan.layout.choices))
    extents = [_extents(piece, plan.layout) for piece in pieces]
    output = PartialOutput(FinalFolder(out), files=plan.layout.shards, pieces=extents, claim=claim)

    def skip(number: int) -> None:
        progress.skip(sizes[number], pieces[number].num_targets)

    key = _make_key(source, settings, plan)
    with closing(progress), output.opened(key, extra_bytes=source.extra_bytes, on_kept=skip):
        num_kept = len(output.done)
        with closing(source.start_hashes()) as hashes:
            pending = [(number, piece) for number, piece in enumerate(pieces) if number not in output.done]
            for batch in source.batches(pending):
                for number, piece, digest in _work_through(batch, source.checkpoint, output, plan, settings):
                    hashes.raise_if_failed()
                    output.record(number, digest)
                    progress.advance(sizes[number], piece.num_targets)
            sums = hashes.result()
        with explain_disk_errors(output.path):
            write_companions(
                output.path,
                source_folder=source.folder,
                config=plan.config,
                layout=plan.layout,
                identity=source.identity,
                hashes=sums,
                making=Making(settings.recipe, settings.base, settings.command, settings.is_searched),
            )
            source.close()
        output.finish()
    return num_kept


def _make_key(source: Source, settings: Settings, plan: Plan) -> dict[str, str]:
    """Say what decides the output's bytes; journals of another key are not continued."""
    files = sorted(source.shard_marks().items())
    formats = sorted({(name, format_name(choice.format)) for name, choice in plan.layout.choices.items()})
    return {
        "source": json.dumps([source.identity.name, source.identity.revision, files]),
        "recipe": json.dumps([settings.recipe.name, formats]),
        "--no-search": str(not settings.is_searched),
        "shard size": str(settings.shard_bytes),
        "versions": tool_versions(),
    }


def _source_bytes(source: Source, piece: Piece) -> int:
    tensors = source.checkpoint.source.tensors
    return sum(
        tensors[name].num_bytes * (stop - start) // max(tensors[name].shape[0], 1)
        for name, (start, stop) in zip(piece.rule.sources, piece.sources, strict=True)
    )


def _extents(piece: Piece, layout: FolderLayout) -> list[Extent]:
    return [
        tensor.extent(piece.start, piece.stop)
        for target in piece.rule.targets
        for tensor in layout.parts[target.name].values()
    ]


def _work_through(
    batch: Sequence[Numbered], checkpoint: Checkpoint, output: PartialOutput, plan: Plan, settings: Settings
) -> Iterator[tuple[int, Piece, str]]:
    """Do the pieces of a batch in a few threads; yield each with the hash of what it wrote."""
    lanes = _Lanes(checkpoint, output, plan, is_searched=settings.is_searched)
    waiting = list(reversed(batch))
    running: dict[Future[str], Numbered] = {}
    with lanes.pool() as pool:
        try:
            while waiting or running:
                while waiting and len(running) <= lanes.count:  # one more than threads, so that none waits
                    number, piece = waiting.pop()
                    running[pool.submit(lanes.convert, number, piece)] = (number, piece)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number, piece = running.pop(future)
                    yield number, piece, future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class _Lanes:
    """Threads that convert a piece each, every one with an MLX stream of its own."""

    def __init__(self, checkpoint: Checkpoint, output: PartialOutput, plan: Plan, *, is_searched: bool) -> None:
        self.count = min(_MAX_LANES, os.cpu_count() or 1)  # on a GPU too: the search runs on the processor
        self._checkpoint, self._output, self._plan = checkpoint, output, plan
        self._is_searched = is_searched
        self._lane = threading.local()

    @contextmanager
    def pool(self) -> Iterator[ThreadPoolExecutor]:
        """Start the threads, and bound MLX's own buffers while they run."""
        former = mx.set_cache_limit(_CACHE_BYTES)
        device = mx.default_device()
        try:
            with ThreadPoolExecutor(self.count, initializer=self._start_lane, initargs=(device,)) as pool:
                yield pool
        finally:
            mx.set_cache_limit(former)

    def convert(self, number: int, piece: Piece) -> str:
        """Read, quantize and write a piece; return the hash of its bytes."""
        with mx.stream(self._lane.stream):
            targets = read_piece(self._checkpoint.source, piece)
            mx.eval(list(targets.values()))
            arrays = {name: self._quantize(name, rows) for name, rows in targets.items()}
            contents = [
                array_bytes(arrays[target.name][part])
                for target in piece.rule.targets
                for part in self._plan.layout.parts[target.name]
            ]
            return self._output.write_piece(number, contents)

    def _quantize(self, name: str, rows: mx.array) -> dict[str, mx.array]:
        setting = self._plan.layout.choices[name].format
        parts = quantize_rows(rows, setting, is_searched=self._is_searched)
        return parts if setting is not None else {name.rpartition(".")[2]: parts["weight"]}

    def _start_lane(self, device: mx.Device) -> None:
        self._lane.stream = mx.new_stream(device)
