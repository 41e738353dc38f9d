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
from types import MappingProxyType

from convert.disk import Extent
from convert.gguf.imatrix import Importance, choose_importance
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
NO_IMPORTANCE: Importance = MappingProxyType({})


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
    """Rows of one unit.

    Attributes:
        unit: Its number.
        start: First row.
        stop: Row behind the last one.
        extents: Where the rows of each tensor go, in the order in which they are read.
        num_tensors: Tensors that the job makes, parts of one as a fraction.
    """

    unit: int
    start: int
    stop: int
    extents: tuple[Extent, ...]
    num_tensors: float

    @property
    def num_bytes(self) -> int:
        """Bytes to write."""
        return sum(extent.num_bytes for extent in self.extents)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole conversion.

    Attributes:
        wanted: What it was made for.
        importance: Weights of inputs by tensor, perhaps empty.
        files: Text file or its parts, then the projector.
        units: What is read together.
        places: Parameter -> where its tensors go (two for the patch convolution).
        jobs: Pieces of work in the order of the files.
    """

    wanted: Wanted
    importance: Importance
    files: tuple[FilePlan, ...]
    units: tuple[Unit, ...]
    places: Mapping[str, tuple[Place, ...]]
    jobs: tuple[Job, ...]


def make_plan(
    checkpoint: Checkpoint, wanted: Wanted, *, importance: Importance = NO_IMPORTANCE, importance_path: Path = Path()
) -> Plan:
    """Plan a conversion.

    Args:
        checkpoint: The source; tokenizer and settings lie in its folder.
        wanted: Files and types.
        importance: Weights of inputs by tensor.
        importance_path: For messages.

    Raises:
        ConfigError: llama.cpp cannot run such a model, or files of the folder are missing.
        WeightError: The importance file is of another model.
    """
    config, folder = checkpoint.config, checkpoint.source.folder
    files: list[FilePlan] = []
    table = text_table(config)
    shapes = table.source_shapes()
    chosen = choose_importance(importance, shapes, where=importance_path)
    text = [_plan_text(name, shape, wanted.file_type, config, bool(importance)) for name, shape in shapes.items()]
    pairs = text_pairs(folder, config, file_type=wanted.file_type, shapes=shapes)
    files += plan_files(wanted.out, pairs, text, max_bytes=wanted.max_bytes)
    tables = [table]
    if wanted.projector_type is not None:
        files.append(_plan_projector(folder, config, wanted, wanted.projector_type))
        tables.append(projector_table(config))
    places = _find_places(tables, files)
    units = tuple(unit for unit in list_units(checkpoint, expected_parameters(config)) if unit.names[0] in places)
    return Plan(wanted, chosen, tuple(files), units, places, tuple(_cut_jobs(units, places)))


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
        own_places = [place for name in unit.names for place in places[name]]
        num_rows = unit.num_rows
        step = max(1, JOB_VALUES * num_rows // num_values) if unit.can_slice else num_rows
        for start in range(0, num_rows, step):
            stop = min(num_rows, start + step)
            extents = tuple(place.extent(start, stop) for place in own_places)
            jobs.append(Job(index, start, stop, extents, len(own_places) * (stop - start) / num_rows))
    return sorted(jobs, key=lambda job: (job.extents[0].file_name, job.extents[0].start))
