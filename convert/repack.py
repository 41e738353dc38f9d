"""`python -m convert repack X.gguf OUT_FOLDER`: the same weights as an MLX folder, without quantizing anew.

Codes are moved from GGML blocks into MLX's words. With float32 scales (the default) the exact forms keep every value;
`--dtype bfloat16` makes the folder of other MLX programs' usual type, and prints what the rounding of scales adds.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx

from convert.arguments import next_command
from convert.card import README, Card, make_card, make_sums, tool_versions
from convert.crew import Threads
from convert.final import FinalFolder, check_out
from convert.mlx.layout import FolderLayout, lay_out_folder
from convert.mlx.quantize import array_bytes
from convert.plan import describe_plan
from convert.repack_files import stored_forms, write_companions
from convert.repack_source import open_gguf_source
from convert.source import SUMS_NAME, Identity, SourceFiles
from convert.work import Job, Step, run_job
from edge.checkpoint.files.dtypes import NAMES
from edge.checkpoint.files.shards import INDEX_NAME
from edge.checkpoint.names.table import Rule
from edge.checkpoint.pair import GgufPair
from edge.checkpoint.pair_parameters import AddedError, describe_shares, read_parameters
from edge.errors import SpoiledError, UsageError
from edge.memory import available_bytes
from edge.plan.machine import here_precision

DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}


_EPILOG = """\
examples:
  python -m convert repack Qwen3VL-4B-Instruct-Q4_K_M.gguf ./qwen-4b
      the projector is found beside it

An interrupted conversion stays in OUT_FOLDER.partial; the same command goes on with it.
exit status: 0 done, 1 failure (one line on stderr), 2 wrong usage, 130 interrupted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="X.gguf", type=Path, help="text file of a GGUF model, or one of its parts")
    parser.add_argument("out", metavar="OUT_FOLDER", type=Path, help="folder to make")
    parser.add_argument("--mmproj", metavar="FILE", type=Path, help="projector of a GGUF model (default: beside it)")
    parser.add_argument(
        "--dtype",
        metavar="|".join(DTYPES),
        choices=tuple(DTYPES),
        default="float32",
        help="type of floats and scales; float32 keeps the values of exact forms (default: float32)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")


def run(arguments: argparse.Namespace) -> int:
    """Repack a model; return the exit code.

    Raises:
        EdgeError: What a user can cause.
    """
    if arguments.out.suffix == ".gguf":
        raise UsageError(f"expected an output folder, found {arguments.out}.")
    check_out(arguments.out)
    pair, files = open_gguf_source(arguments.source, arguments.mmproj)
    if arguments.dry_run:
        layout = lay_out_folder(pair.config, stored_forms(pair), float_dtype=NAMES[DTYPES[arguments.dtype]])
        sizes = [shard.num_bytes for shard in layout.shards]
        free, here = available_bytes(), here_precision()
        print("\n".join(describe_plan(pair.config, layout.stored(), files=sizes, available=free, here=here)))
        return 0
    added = repack(pair, files, arguments.out, dtype=DTYPES[arguments.dtype])
    if shares := added.shares():
        print(describe_shares(shares, added.tensors))
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{arguments.out}  {size:,} bytes")
    print(f"Next: {next_command(arguments.out)}")
    return 0


def repack(pair: GgufPair, files: SourceFiles, out: Path, *, dtype: mx.Dtype) -> AddedError:
    """Write an MLX folder with a GGUF pair's weights, or go on with an unfinished one.

    Args:
        pair: The checked model.
        files: Its files.
        out: The folder to make; it appears under this name when it is complete.
        dtype: Type of floats and scales.

    Returns:
        How far packed values lie from the file's, by block type, in the tensors of this run.

    Raises:
        ConfigError: The metadata lacks something.
        UsageError: The unfinished folder belongs to other settings.
        OutputError: The disk is full or fails.
    """
    layout = lay_out_folder(pair.config, stored_forms(pair), float_dtype=NAMES[dtype])
    added = AddedError()

    def finish(folder: Path, hashes: Mapping[str, str]) -> Sequence[str]:
        (folder / INDEX_NAME).write_bytes(layout.index_json())
        shards = [shard.name for shard in layout.shards]
        (folder / SUMS_NAME).write_text(make_sums(folder, shards), encoding="utf-8")
        card = _make_card(files.identity, hashes, dtype)
        (folder / README).write_text(make_card(card, pair.config, layout.stored()), encoding="utf-8")
        return [*write_companions(pair, folder), INDEX_NAME, SUMS_NAME, README]

    job = Job(
        final=FinalFolder(out),
        files=layout.shards,
        steps=[_step_of(rule, pair, layout) for rule in pair.rules],
        key={"--dtype": NAMES[dtype], "versions": tool_versions()},
        encoder=_RepackEncoder(pair, layout, dtype, added),
        make_crew=lambda task: Threads(task, count=1),
        write_companions=finish,
    )
    run_job(job, files)
    return added


def _make_card(identity: Identity, hashes: Mapping[str, str], dtype: mx.Dtype) -> Card:
    name = next(name for name, known in DTYPES.items() if known == dtype)
    return Card(
        library="mlx",
        kind="repacked",
        sentence="The blocks of a GGUF model in MLX's packed forms, not quantized anew.",
        how=f"scales and other floats are {name}",
        command=f"python -m convert repack {shlex.quote(identity.name)} OUT --dtype {name}",
        identity=identity,
        hashes=hashes,
        versions=tool_versions(),
        run=["Run: `python -m edge.chat --model FOLDER`; mlx-vlm reads it too."],
    )


def _step_of(rule: Rule, pair: GgufPair, layout: FolderLayout) -> Step:
    stored = [pair.file_of(name).tensors[name] for name in rule.sources]
    return Step(
        layout.extents(rule),
        source_bytes=sum(tensor.num_bytes for tensor in stored),
        num_tensors=len(rule.targets),
        shards=frozenset(tensor.path.name for tensor in stored),
    )


@dataclass(frozen=True, slots=True)
class _RepackEncoder:
    """Moves codes from GGML blocks into MLX's words."""

    pair: GgufPair
    layout: FolderLayout
    dtype: mx.Dtype
    added: AddedError

    def encode(self, number: int) -> Iterator[memoryview]:
        """Repack the tensors of a rule; yield the bytes of each stored one."""
        rule = self.pair.rules[number]
        arrays = dict(read_parameters(replace(self.pair, rules=(rule,)), dtype=self.dtype, added=self.added))
        for target in rule.targets:
            for stored in self.layout.parts[target.name].values():
                array = arrays.pop(stored.name)
                self._check_numbers(array, rule.sources)
                yield array_bytes(array)

    def _check_numbers(self, array: mx.array, sources: Sequence[str]) -> None:
        if mx.issubdtype(array.dtype, mx.floating) and not mx.isfinite(array).all():
            path = self.pair.file_of(sources[0]).tensors[sources[0]].path
            raise SpoiledError(
                f"{path}: {sources[0]} holds values that are infinite or no number, or beyond the range of "
                f"{NAMES[self.dtype]}. Download the file again, or choose another --dtype."
            )
