"""Plan a conversion: which tensors of which type go where, and in which pieces of work.

In: a checked checkpoint and what the user wants. Out: `Plan`, made without reading a tensor. What cannot be written is
refused here, before anything is on disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from convert.gguf.imatrix import Importance, check_importance
from convert.gguf.layout import FilePlan, Place, TensorPlan, plan_files
from convert.gguf.metadata import projector_pairs, text_pairs
from convert.gguf.source import Unit, list_units
from convert.gguf.types import FileType, Layer, projector_tensor_type, text_tensor_type
from edge.config import ModelConfig
from edge.weights.folder import Checkpoint
from edge.weights.gguf_pair import base_name
from edge.weights.names_gguf import projector_table, text_table
from edge.weights.names_hf import expected_parameters
from edge.weights.ops import Shape
from edge.weights.table import Table

# Values in one piece of work: three float32 copies of it are the memory of a process.
JOB_VALUES = 1 << 24


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asks for.

    Attributes:
        out: The text file.
        file_type: Its type.
        projector_type: The projector's type; None writes none.
        max_bytes: Tensors in one part of the text file; None writes one file.
    """

    out: Path
    file_type: FileType
    projector_type: FileType | None
    max_bytes: int | None = None

    @property
    def projector(self) -> Path:
        """Path of the projector, named so that llama.cpp's users and `edge` find it beside the text file."""
        assert self.projector_type is not None, "no projector is wanted"
        return self.out.with_name(f"mmproj-{base_name(self.out)}-{self.projector_type.name}.gguf")


@dataclass(frozen=True, slots=True)
class Job:
    """Rows of one unit."""

    unit: int
    start: int
    stop: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole conversion.

    Attributes:
        files: Text file or its parts, then the projector.
        units: What is read together.
        places: Parameter -> where its tensors go (two for the patch convolution).
        jobs: Pieces of work in the order of the files.
        num_values: Numbers in all tensors.
    """

    files: tuple[FilePlan, ...]
    units: tuple[Unit, ...]
    places: Mapping[str, tuple[Place, ...]]
    jobs: tuple[Job, ...]
    num_values: int

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.num_bytes for file in self.files)


def make_plan(
    checkpoint: Checkpoint, folder: Path, wanted: Wanted, *, importance: Importance, importance_path: Path | None = None
) -> Plan:
    """Plan a conversion.

    Args:
        checkpoint: The source.
        folder: Where its tokenizer and settings lie.
        wanted: Files and types.
        importance: Weights of inputs by tensor, perhaps empty.
        importance_path: For messages.

    Raises:
        ConfigError: llama.cpp cannot run such a model, or files of the folder are missing.
        WeightError: The importance file is of another model.
    """
    config = checkpoint.config
    files: list[FilePlan] = []
    table = text_table(config)
    shapes = table.source_shapes()
    check_importance(importance, shapes, where=importance_path or Path())
    text = [_plan_text(name, shape, wanted.file_type, config, bool(importance)) for name, shape in shapes.items()]
    pairs = text_pairs(folder, config, file_type=wanted.file_type, shapes=shapes)
    files += plan_files(wanted.out, pairs, text, max_bytes=wanted.max_bytes)
    tables = [table]
    if wanted.projector_type is not None:
        files.append(_plan_projector(folder, config, wanted, wanted.projector_type))
        tables.append(projector_table(config))
    places = _find_places(tables, files)
    units = tuple(unit for unit in list_units(checkpoint, expected_parameters(config)) if unit.names[0] in places)
    return Plan(
        files=tuple(files),
        units=units,
        places=places,
        jobs=tuple(_cut_jobs(units, places)),
        num_values=sum(prod(place.tensor.shape) for file in files for place in file.places),
    )


def _plan_text(name: str, shape: Shape, file_type: FileType, config: ModelConfig, has_imatrix: bool) -> TensorPlan:
    match = re.match(r"blk\.(\d+)\.", name)
    index = int(match[1]) if match else 0
    layer = Layer(index, config.text, is_tied=config.tie_word_embeddings, has_imatrix=has_imatrix)
    return TensorPlan(name, shape, text_tensor_type(name, shape, file_type, layer))


def _plan_projector(folder: Path, config: ModelConfig, wanted: Wanted, file_type: FileType) -> FilePlan:
    shapes = projector_table(config).source_shapes()
    tensors = [TensorPlan(name, shape, projector_tensor_type(name, shape, file_type)) for name, shape in shapes.items()]
    pairs = projector_pairs(folder, config, file_type=file_type, shapes=shapes)
    return plan_files(wanted.projector, pairs, tensors, max_bytes=None)[0]


def _find_places(tables: Sequence[Table], files: Sequence[FilePlan]) -> dict[str, tuple[Place, ...]]:
    by_name = {place.tensor.name: place for file in files for place in file.places}
    return {
        rule.targets[0].name: tuple(by_name[source] for source in rule.sources)
        for table in tables
        for rule in table.rules
    }


def _cut_jobs(units: Sequence[Unit], places: Mapping[str, tuple[Place, ...]]) -> list[Job]:
    jobs = []
    for index, unit in enumerate(units):
        num_values = sum(map(prod, unit.shapes))
        num_bytes = sum(place.tensor.num_bytes for name in unit.names for place in places[name])
        num_rows = unit.num_rows
        step = max(1, JOB_VALUES * num_rows // num_values) if unit.can_slice else num_rows
        for start in range(0, num_rows, step):
            stop = min(num_rows, start + step)
            jobs.append(Job(index, start, stop, num_bytes * (stop - start) // num_rows))
    first_place = {index: places[unit.names[0]][0] for index, unit in enumerate(units)}
    return sorted(jobs, key=lambda job: (str(first_place[job.unit].path), first_place[job.unit].start, job.start))
