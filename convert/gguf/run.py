"""Convert to GGUF: what is special to it, for the line that runs every conversion.

In: an opened source and a plan. Out: the text file (or its parts) and the projector beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import numpy as np

from convert.crew import Crew, Processes, Task, Threads
from convert.disk import Extent
from convert.final import FinalFiles
from convert.gguf.companions import Making, companion_names, write_companions
from convert.gguf.encode import Floats, check_finite, encode_rows
from convert.gguf.imatrix import Importance
from convert.gguf.layout import Place, TensorPlan
from convert.gguf.plan import Plan
from convert.partial import Claim, OutputFile
from convert.pieces import Infos, Piece, cut_checkpoint, read_piece, step_of
from convert.source import SUMS_NAME, Source
from convert.work import Job, run_job
from edge.checkpoint.names.hub import PATCH_EMBED
from edge.settings import read_generation_settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many pieces were kept from an earlier run, and which equal files were there already."""

    num_kept: int
    reused: tuple[Path, ...]


def write_plan(
    plan: Plan,
    source: Source,
    *,
    num_processes: int,
    is_replacing: bool = False,
    claim: Claim | None = None,
    command: str = "",
) -> Outcome:
    """Write the files of a plan, or go on with unfinished ones.

    Args:
        plan: From `make_plan`.
        source: What it was made for.
        num_processes: Worker processes; 1 works in this one.
        is_replacing: Whether files of these names may be replaced.
        claim: The unfinished folder, where it is held already.
        command: The command line for the card.

    Raises:
        UsageError: A file exists, or the unfinished files belong to other settings.
        WeightError: A tensor holds inf or NaN, or the source is damaged or has changed.
        OutputError: The disk is full or fails, or a worker was killed.
    """
    infos = source.checkpoint.source.tensors
    pieces = [piece for piece in cut_checkpoint(source.checkpoint) if piece.rule.targets[0].name in plan.places]
    files = [OutputFile(file.path.name, file.head, file.num_bytes) for file in plan.files]

    def make_crew(task: Task) -> Crew:
        is_alone = num_processes == 1 or len(pieces) < 2
        return Threads(task, count=1) if is_alone else Processes(task, count=num_processes)

    generation = read_generation_settings(source.files.folder)  # now: an error must not come after the work
    making = Making(command, source.files.identity, source.checkpoint.config, generation)
    final = FinalFiles(
        plan.wanted.out,
        [*(file.name for file in files), *companion_names(plan)],
        is_replacing=is_replacing,
        reusable=_equal_projectors(plan),
        merged=[SUMS_NAME],
    )
    job = Job(
        final=final,
        files=files,
        steps=[step_of(piece, infos, _extents(piece, plan.places)) for piece in pieces],
        key=_make_key(plan),
        encoder=_GgufEncoder(dict(infos), pieces, plan.places, plan.importance),
        make_crew=make_crew,
        write_companions=lambda folder, hashes: write_companions(folder, plan=plan, making=making, hashes=hashes),
    )
    num_kept = run_job(job, source.files, claim=claim)
    return Outcome(num_kept, tuple(final.reused))


def _equal_projectors(plan: Plan) -> list[str]:
    """Name the projector if one that looks the same is there; its bytes are compared when the new ones are made."""
    if plan.wanted.projector_type is None:
        return []
    file = plan.files[-1]
    if not file.path.is_file() or file.path.stat().st_size != file.num_bytes:
        return []
    with file.path.open("rb") as stored:
        return [file.path.name] if stored.read(len(file.head)) == file.head else []


def _extents(piece: Piece, places: Mapping[str, tuple[Place, ...]]) -> list[Extent]:
    own = [place for target in piece.rule.targets for place in places[target.name]]
    return [place.extent(piece.start, piece.stop) for place in own]


def _make_key(plan: Plan) -> dict[str, str]:
    """Say what decides the files' bytes besides their layout."""
    digest = hashlib.sha256()
    for name in sorted(plan.importance):
        digest.update(name.encode() + plan.importance[name].tobytes())
    return {
        "--type": plan.wanted.file_type.name,
        "types": json.dumps(sorted((name, kind.name) for name, kind in plan.wanted.types.items())),
        "--imatrix": digest.hexdigest(),
        "versions": f"qwen3vl-edge {version('qwen3vl-edge')}, libgguf {version('libgguf')}",
    }


@dataclass(frozen=True, slots=True)
class _GgufEncoder:
    """Encodes rows as GGML blocks; small enough to send to a process.

    Attributes:
        infos: Where the source's tensors lie.
        pieces: What is read together.
        places: Parameter -> where its tensors go (two for the patch convolution).
        importance: Weights of inputs by tensor.
    """

    infos: Infos
    pieces: Sequence[Piece]
    places: Mapping[str, tuple[Place, ...]]
    importance: Importance

    def encode(self, number: int) -> Iterator[memoryview]:
        """Read and encode a piece; yield the bytes of each tensor's rows."""
        piece = self.pieces[number]
        targets = read_piece(self.infos, piece)
        for target in piece.rule.targets:
            rows = _numpy(targets.pop(target.name))
            check_finite(rows, target.name)
            parts = _frames(rows) if target.name == PATCH_EMBED else [rows]
            for place, part in zip(self.places[target.name], parts, strict=True):
                yield self._encode_tensor(place.tensor, part, piece.start)

    def _encode_tensor(self, tensor: TensorPlan, rows: Floats, start: int) -> memoryview:
        weights = self.importance.get(tensor.name)
        if weights is None or rows.ndim < 3:
            flat = rows.reshape(-1, rows.shape[-1])
            return encode_rows(flat, tensor.type, importance=weights, name=tensor.name)
        by_expert = weights.reshape(tensor.shape[0], -1)[start : start + len(rows)]
        experts = (
            encode_rows(matrix, tensor.type, importance=own, name=tensor.name)
            for matrix, own in zip(rows, by_expert, strict=True)
        )
        return memoryview(b"".join(experts))


def _frames(rows: Floats) -> list[Floats]:
    """Take the patch convolution (O, T, H, W, C) apart into frames (O, C, H, W)."""
    frames = rows.transpose(1, 0, 4, 2, 3)
    return [np.ascontiguousarray(frame) for frame in frames]


def _numpy(array: mx.array) -> Floats:
    """Copy to numpy; bfloat16 is widened there, which is quicker than in MLX on a CPU."""
    if array.dtype == mx.bfloat16:
        bits = np.array(mx.contiguous(array).view(mx.uint16))
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return np.array(array.astype(mx.float32))
