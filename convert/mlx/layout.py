"""Lay out an MLX folder before a single weight is read: which tensors, in which file, at which byte.

In: the configuration and the choice for every parameter. Out: a `FolderLayout`. All sizes are known beforehand, so
headers can be written first and tensors in any order, and the same choices always give the same files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from convert.disk import Extent
from convert.partial import OutputFile, fill_files
from convert.plan import Stored
from edge.checkpoint.files.dtypes import DTYPES
from edge.checkpoint.names.hub import expected_parameters, packed_targets
from edge.checkpoint.names.ops import Shape
from edge.checkpoint.names.table import Rule
from edge.config import ModelConfig
from edge.memory import GB
from edge.plan.recipes import Choice, Format, format_name

SHARD_BYTES = 5 * GB


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of the folder: dtype and shape as stored, its file, and its first byte in that file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file_name: str
    offset: int

    @property
    def num_bytes(self) -> int:
        """Bytes in the file."""
        return prod(self.shape) * DTYPES[self.dtype].bits // 8

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of axis 0."""
        return self.num_bytes // self.shape[0]

    def extent(self, start: int, stop: int) -> Extent:
        """Return where rows `start` to `stop` of axis 0 lie."""
        return Extent(self.file_name, self.offset + start * self.row_bytes, self.offset + stop * self.row_bytes)


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """All files with weights.

    Attributes:
        shards: In order.
        parts: Parameter -> its stored tensors by part (`weight`, `scales`, `biases`, or `bias`).
        choices: Parameter -> how it is stored.
        shapes: Parameter -> its unpacked shape.
    """

    shards: tuple[OutputFile, ...]
    parts: Mapping[str, Mapping[str, StoredTensor]]
    choices: Mapping[str, Choice]
    shapes: Mapping[str, Shape]

    @property
    def num_parameters(self) -> int:
        """Numbers in the unpacked model."""
        return sum(map(prod, self.shapes.values()))

    @property
    def tensors(self) -> list[StoredTensor]:
        """Every stored tensor."""
        return [tensor for parts in self.parts.values() for tensor in parts.values()]

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors, without headers."""
        return sum(tensor.num_bytes for tensor in self.tensors)

    @property
    def file_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.num_bytes for shard in self.shards)

    @property
    def bits_per_weight(self) -> float:
        """Bits in the files for each number of the model, scales included."""
        return 8 * self.weight_bytes / self.num_parameters

    def stored(self) -> list[Stored]:
        """Return every parameter as it is stored."""
        return [
            Stored(
                name,
                self.shapes[name],
                sum(tensor.num_bytes for tensor in self.parts[name].values()),
                self._format_name(name),
                choice.reason,
                is_packed=choice.format is not None,
            )
            for name, choice in self.choices.items()
        ]

    def _format_name(self, name: str) -> str:
        setting = self.choices[name].format
        if setting is None:
            return next(iter(self.parts[name].values())).dtype.lower()
        return format_name(setting)

    def extents(self, rule: Rule, start: int = 0, stop: int | None = None) -> list[Extent]:
        """Return where rows of everything that a rule makes lie; all rows if `stop` is None."""
        stored = [tensor for target in rule.targets for tensor in self.parts[target.name].values()]
        return [tensor.extent(start, tensor.shape[0] if stop is None else stop) for tensor in stored]

    def index_json(self) -> bytes:
        """Return the index: which tensor is in which file."""
        weight_map = {tensor.name: tensor.file_name for tensor in self.tensors}
        metadata = {"total_parameters": self.num_parameters, "total_size": self.weight_bytes}
        index = {"metadata": metadata, "weight_map": dict(sorted(weight_map.items()))}
        return (json.dumps(index, indent=2) + "\n").encode()


def lay_out_folder(
    config: ModelConfig, choices: Mapping[str, Choice], *, shard_bytes: int = SHARD_BYTES, float_dtype: str = "BF16"
) -> FolderLayout:
    """Lay out the folder.

    Args:
        config: The model.
        choices: Parameter -> format, for every parameter.
        shard_bytes: Most bytes of tensors in one file; a single larger parameter gets a file of its own.
        float_dtype: Stored type of floats and of scales that are floats.
    """
    shapes = expected_parameters(config)
    sketches = {name: _sketch(name, shape, choices[name].format, float_dtype) for name, shape in shapes.items()}
    groups = fill_files(((name, _sketch_bytes(sketch)) for name, sketch in sketches.items()), max_bytes=shard_bytes)
    parts: dict[str, dict[str, StoredTensor]] = {}
    shards = []
    for index, group in enumerate(groups):
        file_name = "model.safetensors"
        if len(groups) > 1:
            file_name = f"model-{index + 1:05d}-of-{len(groups):05d}.safetensors"
        placed, shard = _place({name: sketches[name] for name in group}, file_name)
        parts.update(placed)
        shards.append(shard)
    ordered = {name: parts[name] for name in shapes}
    return FolderLayout(tuple(shards), ordered, choices, shapes)


def parameter_bytes(name: str, shape: Shape, setting: Format) -> int:
    """Return the bytes of a parameter in a format, all its parts together and without headers."""
    return _sketch_bytes(_sketch(name, shape, setting, "BF16"))


Sketch = dict[str, tuple[str, str, tuple[int, ...]]]  # part -> name, dtype, shape


def _sketch(name: str, shape: tuple[int, ...], setting: Format, float_dtype: str) -> Sketch:
    if setting is None:
        return {name.rpartition(".")[2]: (name, float_dtype, shape)}
    targets = packed_targets(name, shape, setting)
    return {
        target.name.rpartition(".")[2]: (
            target.name,
            float_dtype if target.stored_as == "float" else target.stored_as,
            target.shape,
        )
        for target in targets
    }


def _sketch_bytes(sketch: Sketch) -> int:
    return sum(prod(shape) * DTYPES[dtype].bits // 8 for _, dtype, shape in sketch.values())


def _place(sketches: Mapping[str, Sketch], file_name: str) -> tuple[dict[str, dict[str, StoredTensor]], OutputFile]:
    """Give each tensor its bytes; words come first, so that every tensor lies at a multiple of its item size."""
    flat = [(parameter, part, *entry) for parameter, sketch in sketches.items() for part, entry in sketch.items()]
    flat.sort(key=lambda item: -DTYPES[item[3]].bits)  # stable: the model's order within a width
    raw: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    end = 0
    for _, _, name, dtype, shape in flat:
        start, end = end, end + prod(shape) * DTYPES[dtype].bits // 8
        raw[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(raw, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    placed: dict[str, dict[str, StoredTensor]] = {parameter: {} for parameter in sketches}
    offset = len(header)
    for parameter, part, name, dtype, shape in flat:
        tensor = StoredTensor(name, dtype, shape, file_name, offset)
        placed[parameter][part] = tensor
        offset += tensor.num_bytes
    return placed, OutputFile(file_name, header, offset)
