"""Open safetensors files one tensor at a time, trusting nothing in their headers.

In: a file or a folder of shards. Out: names, dtypes and shapes at once, `mx.array`s when asked for.
Memory holds the tensor that was asked for and nothing of the file around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import mlx.core as mx

from edge.checkpoint.files.header import TensorInfo, read_header
from edge.checkpoint.files.rows import PlainFile, read_rows
from edge.config_json import read_json_object
from edge.errors import ConfigError, WeightError
from edge.records import dataclass

_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
INDEX_NAME = "model.safetensors.index.json"


class SafetensorsFile:
    """One open safetensors file with a checked header.

    Attributes:
        path: The file.
        tensors: Name -> dtype, shape and place of every tensor.
        metadata: The file's own `__metadata__` strings.
    """

    def __init__(self, path: Path) -> None:
        """Open a file and check its header against its size.

        Raises:
            WeightError: The file is missing, truncated, or its header contradicts the file.
        """
        self.path = path
        if path.exists() and not path.is_file():
            raise WeightError(f"{path}: expected a safetensors shard, found a folder, pipe or device. Remove it.")
        try:
            self._file = PlainFile(path)
            with open(self._file.fileno(), "rb", closefd=False) as file:
                header = read_header(file, path)
        except FileNotFoundError:
            raise WeightError(f"{path}: file not found. Expected a safetensors shard; download it again.") from None
        except OSError as error:
            raise WeightError(f"{path}: cannot be read ({error.strerror}). Check the file and the disk.") from None
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(header.tensors)
        self.metadata: Mapping[str, str] = MappingProxyType(header.metadata)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Read one tensor, or rows of its first axis; F8_E4M3 comes as its uint8 codes.

        Args:
            name: The tensor.
            start: First row of the first axis.
            stop: End of the rows; None reads to the end.

        Raises:
            WeightError: The stored dtype cannot be read, or the file was cut meanwhile.
        """
        return read_rows(self.tensors[name], name, start, stop, file=self._file)

    def __reduce__(self) -> tuple[type[SafetensorsFile], tuple[Path]]:
        """Let another process open the file for itself: a converter's workers merge adapters."""
        return SafetensorsFile, (self.path,)


@dataclass(frozen=True, slots=True)
class TensorSource:
    """All tensors of a folder, each read from its shard when asked for.

    Attributes:
        folder: Where the shards lie.
        files: The shards in use, sorted by name.
        tensors: Name -> info over all shards.
        index_missing: Shards that the index lists and the folder lacks; harmless when the index is stale.
        index_total: Number of shards the index lists, 0 without an index.
        unlisted: Shards on disk that a sound index does not list; they are not used.
    """

    folder: Path
    files: tuple[SafetensorsFile, ...]
    tensors: Mapping[str, TensorInfo]
    index_missing: tuple[str, ...] = ()
    index_total: int = 0
    unlisted: tuple[str, ...] = ()

    def read(self, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        """Copy one tensor, or rows of its first axis, into MLX; F8_E4M3 comes as its uint8 codes."""
        return self.file_of(name).read(name, start, stop)

    def file_of(self, name: str) -> SafetensorsFile:
        """Return the shard that holds a tensor."""
        path = self.tensors[name].path
        return next(file for file in self.files if file.path == path)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)


def open_folder(folder: Path) -> TensorSource:
    """Open the shards of a model folder.

    A sound index (every shard there, every tensor in its shard) decides which files belong to the model. Any other
    index is stale, as in published MLX folders: then all shards on disk count, and what is missing in the end tells.

    Raises:
        WeightError: No shard, a broken shard, or a tensor that is there twice.
    """
    paths = sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith((".", "adapter_model")))
    if not paths:
        raise WeightError(_explain_no_shards(folder))
    files = tuple(SafetensorsFile(path) for path in paths)
    weight_map = _read_weight_map(folder)
    listed = sorted(set(weight_map.values()))
    by_name = {file.path.name: file for file in files}
    is_sound = bool(listed) and all(
        shard in by_name and name in by_name[shard].tensors for name, shard in weight_map.items()
    )
    if is_sound:
        unlisted = tuple(name for name in by_name if name not in listed)
        used = tuple(by_name[name] for name in listed)
        return join_files(used, folder=folder, index_total=len(listed), unlisted=unlisted)
    missing = tuple(shard for shard in listed if shard not in by_name)
    return join_files(files, folder=folder, index_missing=missing, index_total=len(listed))


def _read_weight_map(folder: Path) -> dict[str, str]:
    path = folder / INDEX_NAME
    if not path.exists():
        return {}
    try:
        weight_map = read_json_object(path).get("weight_map")
    except ConfigError as error:
        raise WeightError(str(error)) from None
    if not isinstance(weight_map, dict) or not all(map(_is_name, weight_map.values())):
        raise WeightError(f"{path}: expected a weight_map from tensor to shard, found none. Download it again.")
    return weight_map


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _explain_no_shards(folder: Path) -> str:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLE_SUFFIXES)
    if pickles:
        return (
            f"{folder}: expected .safetensors files, found {pickles[0]}; pickle files can run code when opened and are "
            "never read here. Choose a safetensors version of the model."
        )
    listed = sorted(set(_read_weight_map(folder).values()))
    if listed:
        return (
            f"{folder / INDEX_NAME} lists {len(listed)} shards, {len(listed)} are missing: {listed[0]}, ... "
            "Download them again."
        )
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    return f"{folder}: expected .safetensors files, found {found}. Choose a complete model folder."


def join_files(
    files: tuple[SafetensorsFile, ...],
    *,
    folder: Path,
    index_missing: tuple[str, ...] = (),
    index_total: int = 0,
    unlisted: tuple[str, ...] = (),
) -> TensorSource:
    """Make one source of several files.

    Raises:
        WeightError: Two files hold a tensor of the same name.
    """
    tensors: dict[str, TensorInfo] = {}
    for file in files:
        for name, info in file.tensors.items():
            if name in tensors:
                raise WeightError(
                    f"{folder}: {name} is in {tensors[name].path.name} and again in {file.path.name}; expected each "
                    "tensor once. Remove the files that do not belong to this model."
                )
            tensors[name] = info
    return TensorSource(folder, files, MappingProxyType(tensors), index_missing, index_total, unlisted)
