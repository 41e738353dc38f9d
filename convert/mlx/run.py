"""Convert to an MLX folder: what is special to it, for the line that runs every conversion.

In: an opened source and settings. Out: the finished folder. A few threads work on a piece each, so that reading,
computing and writing overlap; memory holds their pieces and nothing else of the model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from convert.calibration.file import Calibration
from convert.card import tool_versions
from convert.crew import Threads
from convert.final import FinalFolder
from convert.mlx.companions import Making, write_companions
from convert.mlx.compensation import Compensation
from convert.mlx.layout import SHARD_BYTES, FolderLayout, lay_out_folder
from convert.mlx.quantize import array_bytes, quantize_rows
from convert.partial import Claim
from convert.pieces import Infos, Piece, cut_checkpoint, read_piece, step_of
from convert.source import Source
from convert.work import Job, run_job
from edge.config import ModelConfig
from edge.plan.recipes import Choice, Format, Recipe, choose_formats, format_name

_MAX_LANES = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asks for.

    Attributes:
        recipe: The named policy.
        base: Format of the decoder's matrices: the recipe's, or of --bits, --group-size and --mode.
        overrides: Patterns and formats of --set.
        is_searched: Whether affine scales are searched.
        calibration: What the matrices saw, if errors are to be compensated.
        shard_bytes: Bound of one output file.
        command: The command line for the card.
        choices: How every parameter is stored, where a budget has decided it; else the recipe does.
    """

    recipe: Recipe
    base: Format
    overrides: tuple[tuple[str, Format], ...] = ()
    is_searched: bool = True
    calibration: Calibration | None = None
    shard_bytes: int = SHARD_BYTES
    command: str = ""
    choices: Mapping[str, Choice] | None = None


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
    choices = settings.choices
    if choices is None:
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
    calibration = settings.calibration
    if calibration is not None and source.files.holds_weights:
        calibration.model.check(source.checkpoint, source.files.identity, where=calibration.path)
    infos, pieces = source.checkpoint.source.tensors, cut_checkpoint(source.checkpoint)
    how = describe_method(plan.layout, is_searched=settings.is_searched, calibration=calibration)
    making = Making(settings.recipe, settings.base, settings.command, how)

    def finish(folder: Path, hashes: Mapping[str, str]) -> Sequence[str]:
        return write_companions(
            folder,
            source_folder=source.files.folder,
            config=plan.config,
            layout=plan.layout,
            identity=source.files.identity,
            hashes=hashes,
            making=making,
        )

    num_lanes = min(_MAX_LANES, os.cpu_count() or 1)  # on a GPU too: the search runs on the processor
    job = Job(
        final=FinalFolder(out),
        files=plan.layout.shards,
        steps=[step_of(piece, infos, plan.layout.extents(piece.rule, piece.start, piece.stop)) for piece in pieces],
        key=_make_key(settings, plan),
        encoder=_MlxEncoder(
            infos,
            pieces,
            plan.layout,
            settings.is_searched,
            None if calibration is None else Compensation(calibration),
        ),
        make_crew=lambda task: Threads(task, count=num_lanes),
        write_companions=finish,
    )
    return run_job(job, source.files, claim=claim)


def describe_method(layout: FolderLayout, *, is_searched: bool, calibration: Calibration | None) -> str:
    """Say how the numbers are chosen, in a few words."""
    modes = {choice.format.mode for choice in layout.choices.values() if choice.format is not None}
    if not modes:
        return "no matrix is packed"
    if not is_searched or "affine" not in modes:
        return "plain mx.quantize"
    searched = "affine scales searched by squared error"
    if calibration is None or not count_compensated(layout, calibration):
        return searched
    return f"{searched}, errors compensated with {calibration.label}"


def count_compensated(layout: FolderLayout, calibration: Calibration) -> int:
    """Count the matrices whose errors a calibration makes good."""
    covers = Compensation(calibration).covers
    return sum(covers(name, choice.format) for name, choice in layout.choices.items())


def _make_key(settings: Settings, plan: Plan) -> dict[str, str]:
    """Say what decides the output's bytes; journals of another key are not continued."""
    formats = sorted({(name, format_name(choice.format)) for name, choice in plan.layout.choices.items()})
    return {
        "recipe": json.dumps([settings.recipe.name, formats]),
        "--no-search": str(not settings.is_searched),
        "--calibration": "" if settings.calibration is None else settings.calibration.digest,
        "shard size": str(settings.shard_bytes),
        "versions": tool_versions(),
    }


@dataclass(frozen=True, slots=True)
class _MlxEncoder:
    """Packs rows as MLX does."""

    infos: Infos
    pieces: Sequence[Piece]
    layout: FolderLayout
    is_searched: bool
    compensation: Compensation | None

    def encode(self, number: int) -> Iterator[memoryview]:
        """Read and pack a piece; yield the bytes of each stored tensor's rows."""
        piece = self.pieces[number]
        targets = read_piece(self.infos, piece)
        mx.eval(list(targets.values()))
        for target in piece.rule.targets:
            arrays = self._quantize(target.name, targets.pop(target.name), first_row=piece.start)
            for part in self.layout.parts[target.name]:
                yield array_bytes(arrays[part])

    def _quantize(self, name: str, rows: mx.array, *, first_row: int) -> dict[str, mx.array]:
        setting = self.layout.choices[name].format
        if setting is not None and self.compensation is not None and self.compensation.covers(name, setting):
            packed = self.compensation.quantize(
                name, rows, first_row=first_row, group_size=setting.group_size, bits=setting.bits
            )
            return {"weight": packed.weight, "scales": packed.scales, "biases": packed.biases}
        parts = quantize_rows(rows, setting, is_searched=self.is_searched)
        return parts if setting is not None else {name.rpartition(".")[2]: parts["weight"]}
