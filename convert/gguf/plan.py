"""Plan a conversion: which tensors of which type go where.

In: a checked checkpoint and what the user wants. Out: `Plan`, made without reading a tensor. What cannot be written is
refused here, before anything is on disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from convert.gguf.imatrix import Importance, choose_importance
from convert.gguf.layout import FilePlan, Place, TensorPlan, plan_files
from convert.gguf.metadata import explain_readers, projector_pairs, text_pairs
from convert.gguf.types import FileType, Layer, projector_tensor_type, text_tensor_type
from convert.plan import Stored
from edge.checkpoint.folder import Checkpoint
from edge.checkpoint.ggml.types import BlockType
from edge.checkpoint.names.gguf import projector_table, text_table
from edge.checkpoint.names.ops import Shape
from edge.checkpoint.names.table import Table
from edge.checkpoint.pair import base_name
from edge.config import ModelConfig

NO_IMPORTANCE: Importance = MappingProxyType({})
NO_TYPES: Mapping[str, BlockType] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asks for.

    Attributes:
        out: The text file.
        file_type: Its type.
        projector_type: The projector's type; None writes none.
        max_bytes: Tensors in one part of the text file; None writes one file.
        types: Type of every matrix of the text file where a budget has decided it; else the file's type does.
    """

    out: Path
    file_type: FileType
    projector_type: FileType | None
    max_bytes: int | None = None
    types: Mapping[str, BlockType] = field(default_factory=dict)

    @property
    def projector(self) -> Path:
        """Path of the projector, named so that llama.cpp's users and `edge` find it beside the text file."""
        assert self.projector_type is not None, "no projector is wanted"
        words = ("mmproj", base_name(self.out), self.projector_type.name)
        return self.out.with_name(f"{'-'.join(word for word in words if word)}.gguf")


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole conversion.

    Attributes:
        wanted: What it was made for.
        importance: Weights of inputs by tensor, perhaps empty.
        files: Text file or its parts, then the projector.
        places: Parameter -> where its tensors go (two for the patch convolution).
    """

    wanted: Wanted
    importance: Importance
    files: tuple[FilePlan, ...]
    places: Mapping[str, tuple[Place, ...]]

    def stored(self) -> list[Stored]:
        """Return every parameter as it is stored."""
        return describe_places(self.places)


def describe_places(places: Mapping[str, tuple[Place, ...]]) -> list[Stored]:
    """Return parameters as they are stored; both halves of the patch convolution count as one."""
    found = []
    for name, own in places.items():
        tensors = [place.tensor for place in own]
        shape = tensors[0].shape if len(tensors) == 1 else (len(tensors), *tensors[0].shape)
        kind = tensors[0].type
        num_bytes = sum(tensor.num_bytes for tensor in tensors)
        found.append(Stored(name, shape, num_bytes, kind.name, is_packed=not kind.is_float))
    return found


def describe_types(
    config: ModelConfig,
    file_type: FileType,
    projector_type: FileType | None,
    types: Mapping[str, BlockType] = NO_TYPES,
) -> list[Stored]:
    """Return how every parameter would be stored, from shapes alone; `types` as in `Wanted`."""
    plans = plan_tensors(config, file_type, projector_type)
    by_name = {plan.name: (Place(Path(), 0, replace(plan, type=types.get(plan.name, plan.type))),) for plan in plans}
    return describe_places(
        {
            rule.targets[0].name: tuple(place for source in rule.sources for place in by_name[source])
            for table in _tables(config, projector_type)
            for rule in table.rules
        }
    )


def plan_tensors(config: ModelConfig, file_type: FileType, projector_type: FileType | None) -> list[TensorPlan]:
    """Choose the type of every tensor of the files, from shapes alone; without a projector where its type is None."""
    text = text_table(config).source_shapes()
    plans = [_plan_text(name, shape, file_type, config, has_imatrix=False) for name, shape in text.items()]
    if projector_type is None:
        return plans
    return plans + [
        TensorPlan(name, shape, projector_tensor_type(name, shape, projector_type))
        for name, shape in projector_table(config).source_shapes().items()
    ]


def _tables(config: ModelConfig, projector_type: FileType | None) -> list[Table]:
    return [text_table(config), *([] if projector_type is None else [projector_table(config)])]


def make_plan(
    checkpoint: Checkpoint,
    wanted: Wanted,
    *,
    name: str | None = None,
    importance: Importance = NO_IMPORTANCE,
    importance_path: Path = Path(),
) -> Plan:
    """Plan a conversion.

    Args:
        checkpoint: The source; tokenizer and settings lie in its folder.
        wanted: Files and types.
        name: The model's; the folder's if None.
        importance: Weights of inputs by tensor.
        importance_path: For messages.

    Raises:
        ConfigError: llama.cpp cannot run such a model, or files of the folder are missing.
        WeightError: The importance file is of another model.
    """
    config, folder = checkpoint.config, checkpoint.source.folder
    shown = name or folder.absolute().name
    files: list[FilePlan] = []
    shapes = text_table(config).source_shapes()
    chosen = choose_importance(importance, shapes, where=importance_path)
    text = [
        TensorPlan(name, shape, wanted.types[name])
        if name in wanted.types
        else _plan_text(name, shape, wanted.file_type, config, has_imatrix=bool(importance))
        for name, shape in shapes.items()
    ]
    with explain_readers(folder):
        pairs = text_pairs(folder, config, name=shown, file_type=wanted.file_type, shapes=shapes)
    files += plan_files(wanted.out, pairs, text, max_bytes=wanted.max_bytes)
    if wanted.projector_type is not None:
        files.append(_plan_projector(folder, config, wanted, wanted.projector_type, shown))
    places = _find_places(_tables(config, wanted.projector_type), files)
    return Plan(wanted, chosen, tuple(files), places)


def _plan_text(name: str, shape: Shape, file_type: FileType, config: ModelConfig, *, has_imatrix: bool) -> TensorPlan:
    match = re.match(r"blk\.(\d+)\.", name)
    index = int(match[1]) if match else 0
    layer = Layer(index, config.text, is_tied=config.tie_word_embeddings, has_imatrix=has_imatrix)
    return TensorPlan(name, shape, text_tensor_type(name, shape, file_type, layer))


def _plan_projector(folder: Path, config: ModelConfig, wanted: Wanted, file_type: FileType, name: str) -> FilePlan:
    shapes = projector_table(config).source_shapes()
    tensors = [TensorPlan(name, shape, projector_tensor_type(name, shape, file_type)) for name, shape in shapes.items()]
    with explain_readers(folder):
        pairs = projector_pairs(folder, config, name=name, file_type=file_type, shapes=shapes)
    return plan_files(wanted.projector, pairs, tensors, max_bytes=None)[0]


def _find_places(tables: Sequence[Table], files: Sequence[FilePlan]) -> dict[str, tuple[Place, ...]]:
    by_name = {place.tensor.name: place for file in files for place in file.places}
    return {
        rule.targets[0].name: tuple(by_name[source] for source in rule.sources)
        for table in tables
        for rule in table.rules
    }
