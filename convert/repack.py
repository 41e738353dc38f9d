"""`python -m convert repack X.gguf OUT_FOLDER`: the same weights as an MLX folder, without quantizing anew.

Codes are moved from GGML blocks into MLX's words. With float32 scales (the default) the exact forms keep every value;
`--dtype bfloat16` makes the folder of other MLX programs' usual type, and prints what the rounding of scales adds.
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import mlx.core as mx

from convert.disk import explain_disk_errors
from convert.final import FinalFolder, check_out
from convert.mlx.card import tool_versions
from convert.mlx.layout import lay_out_folder
from convert.mlx.quantize import array_bytes
from convert.partial import PartialOutput
from convert.pieces import mark_files
from convert.progress import Progress
from convert.repack_files import stored_forms, write_companions
from edge.errors import UsageError
from edge.weights.gguf import AddedError, describe_shares, read_parameters
from edge.weights.gguf_pair import GgufPair, open_pair
from edge.weights.shards import INDEX_NAME

DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
_FORMAT_NAMES = {mx.float32: "F32", mx.bfloat16: "BF16", mx.float16: "F16"}


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
    """Write an MLX folder with a GGUF pair's weights, or go on with an unfinished one.

    Args:
        pair: The checked files.
        out: The folder to make; it appears under this name when it is complete.
        dtype: Type of floats and scales.

    Returns:
        How far packed values lie from the file's, by block type, in the tensors of this run.

    Raises:
        ConfigError: The metadata lacks something.
        UsageError: The unfinished folder belongs to other settings.
        OutputError: The disk is full or fails.
    """
    layout = lay_out_folder(pair.config, stored_forms(pair), float_dtype=_FORMAT_NAMES[dtype])
    tensors = [[part for target in rule.targets for part in layout.parts[target.name].values()] for rule in pair.rules]
    pieces = [[tensor.extent(0, tensor.shape[0]) for tensor in made] for made in tensors]
    sizes = [sum(extent.num_bytes for extent in piece) for piece in pieces]
    progress = Progress(total_bytes=sum(sizes), total_items=len(pieces))
    output = PartialOutput(FinalFolder(out), files=layout.shards, pieces=pieces)
    added = AddedError()
    key = _make_key(pair, dtype)
    with closing(progress), output.opened(key, on_kept=lambda number: progress.skip(sizes[number], 1)):
        for number, rule in enumerate(pair.rules):
            if number in output.done:
                continue
            arrays = dict(read_parameters(replace(pair, rules=(rule,)), dtype=dtype, added=added))
            contents = [array_bytes(arrays[tensor.name]) for tensor in tensors[number]]
            output.record(number, output.write_piece(number, contents))
            progress.advance(sizes[number], 1)
        with explain_disk_errors(output.path):
            write_companions(pair, output.path)
            (output.path / INDEX_NAME).write_bytes(layout.index_json())
        output.finish()
    return added


def _make_key(pair: GgufPair, dtype: mx.Dtype) -> dict[str, str]:
    paths = {tensor.path for file in (pair.text, pair.projector) for tensor in file.tensors.values()}
    return {
        "source": json.dumps(mark_files(paths)),
        "--dtype": _FORMAT_NAMES[dtype],
        "versions": tool_versions(),
    }
