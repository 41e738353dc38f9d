"""`python -m convert repack X.gguf OUT_FOLDER`: the same weights as an MLX folder, without quantizing anew.

Codes are moved from GGML blocks into MLX's words. With float32 scales (the default) the exact forms keep every value;
`--dtype bfloat16` makes the folder of other MLX programs' usual type, and prints what the rounding of scales adds.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import mlx.core as mx

from convert.mlx.partial import check_out, check_space, explain_disk_errors, partial_path
from convert.mlx.quantize import array_bytes
from convert.repack_files import write_companions
from edge.errors import UsageError
from edge.weights.gguf import AddedError, describe_shares, read_parameters
from edge.weights.gguf_pair import GgufPair, open_pair
from edge.weights.header import ITEM_BITS
from edge.weights.names_hf import packed_targets
from edge.weights.shards import INDEX_NAME

SHARD_BYTES = 5_000_000_000
DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
_FORMAT_NAMES = {mx.float32: "F32", mx.bfloat16: "BF16", mx.float16: "F16"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of the folder, as stored."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes in the file."""
        return prod(self.shape) * ITEM_BITS[self.dtype] // 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", metavar="X.gguf", type=Path, help="text file of a GGUF model, or any part of it")
    parser.add_argument("out", metavar="OUT_FOLDER", type=Path, help="a new folder")
    parser.add_argument("--mmproj", metavar="FILE", type=Path, help="the projector (default: beside the text file)")
    parser.add_argument(
        "--dtype",
        choices=tuple(DTYPES),
        default="float32",
        help="type of floats and scales; float32 keeps the values of exact forms (default)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Repack a model; return the exit code.

    Raises:
        EdgeError: What a user can cause.
    """
    if arguments.out.suffix == ".gguf":
        raise UsageError(f"expected an output folder, found {arguments.out}.")
    check_out(arguments.out)
    pair = open_pair(arguments.source, arguments.mmproj)
    added = repack(pair, arguments.out, dtype=DTYPES[arguments.dtype])
    if shares := added.shares():
        print(describe_shares(shares, added.tensors))
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{arguments.out}  {size:,} bytes")
    return 0


def repack(pair: GgufPair, out: Path, *, dtype: mx.Dtype) -> AddedError:
    """Write an MLX folder with a GGUF pair's weights.

    Args:
        pair: The checked files.
        out: The folder to make; it appears under this name when it is complete.
        dtype: Type of floats and scales.

    Returns:
        How far packed values lie from the file's, by block type.

    Raises:
        ConfigError: The metadata lacks something.
        OutputError: The disk is full or fails.
    """
    shards = _fill_shards(list_entries(pair, dtype=dtype))
    check_space(out, sum(entry.num_bytes for shard in shards for entry in shard))
    partial = partial_path(out)
    added = AddedError()
    with explain_disk_errors(partial):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_companions(pair, partial)
        names = _shard_names(len(shards))
        arrays = read_parameters(pair, dtype=dtype, added=added)
        for name, shard in zip(names, shards, strict=True):
            _write_shard(partial / name, shard, arrays)
        weight_map = {entry.name: name for name, shard in zip(names, shards, strict=True) for entry in shard}
        (partial / INDEX_NAME).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}, indent=2) + "\n")
        if out.is_dir():
            out.rmdir()  # empty, or check_out would have refused it
        partial.rename(out)
    return added


def list_entries(pair: GgufPair, *, dtype: mx.Dtype) -> list[Entry]:
    """List the folder's tensors in the order in which the pair's are read."""
    float_name = _FORMAT_NAMES[dtype]
    entries = []
    for rule in pair.rules:
        form, target = pair.packed_form(rule), rule.targets[0]
        parts = [target] if form is None else packed_targets(target.name, target.shape, form)
        entries += [
            Entry(part.name, float_name if part.stored_as == "float" else part.stored_as, part.shape) for part in parts
        ]
    return entries


def _fill_shards(entries: Sequence[Entry]) -> list[list[Entry]]:
    shards: list[list[Entry]] = [[]]
    filled = 0
    for entry in entries:
        if shards[-1] and filled + entry.num_bytes > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(entry)
        filled += entry.num_bytes
    return shards


def _shard_names(num_shards: int) -> list[str]:
    if num_shards == 1:
        return ["model.safetensors"]
    return [f"model-{index + 1:05d}-of-{num_shards:05d}.safetensors" for index in range(num_shards)]


def _write_shard(path: Path, entries: Sequence[Entry], arrays: Iterator[tuple[str, mx.array]]) -> None:
    raw: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    end = 0
    for entry in entries:
        start, end = end, end + entry.num_bytes
        raw[entry.name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [start, end]}
    text = json.dumps(raw, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for entry in entries:
            name, array = next(arrays)
            assert (name, array.shape) == (entry.name, entry.shape), f"{entry.name}: read {name} {array.shape}"
            file.write(array_bytes(array))
