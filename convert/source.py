"""Open what is converted, say where it comes from, and hold its shards against the hashes that are known for them.

In: a folder. Out: a `Source`: the checked checkpoint, its identity, and the pieces of work. Hashes are known for
folders downloaded with huggingface-hub (its cache, or a local folder of its making) and where a `SHA256SUMS` lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

import mlx.core as mx

from convert.pieces import Piece, cut_rule, mark_files, sha256_of
from edge.errors import UsageError, WeightError
from edge.weights.folder import Checkpoint, open_checkpoint

SUMS_NAME = "SHA256SUMS"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Hashes(Protocol):
    """The check of the source's shards, beside the work."""

    def raise_if_failed(self) -> None:
        """Raise what was found so far."""
        ...

    def result(self) -> dict[str, str]:
        """Wait for all; return sha256 by shard."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the weights come from: name for people, hub commit if known, and sha256 by shard as far as known."""

    name: str
    revision: str | None
    known_hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint to convert."""

    checkpoint: Checkpoint
    identity: Identity

    @property
    def folder(self) -> Path:
        """The folder with the configuration, the tokenizer and (unless streamed) the shards."""
        return self.checkpoint.source.folder

    def pieces(self) -> list[Piece]:
        """Cut the work in the order in which the weights lie in the files; the order decides nothing else."""
        tensors = self.checkpoint.source.tensors
        rules = sorted(
            self.checkpoint.rules,
            key=lambda rule: max((tensors[name].path.name, tensors[name].start) for name in rule.sources),
        )
        return [piece for rule in rules for piece in cut_rule(rule)]

    def shard_marks(self) -> dict[str, str]:
        """Return what tells a shard from a changed one: its known hash, or length and time."""
        marks = mark_files(file.path for file in self.checkpoint.source.files)
        return {name: self.identity.known_hashes.get(name, mark) for name, mark in marks.items()}

    @property
    def extra_bytes(self) -> int:
        """Disk space that the source itself takes on the way."""
        return 0

    def batches(self, pieces: Sequence[tuple[int, Piece]]) -> Iterator[list[tuple[int, Piece]]]:
        """Yield the pieces whose shards are there; here all of them at once."""
        yield list(pieces)

    def start_hashes(self) -> Hashes:
        """Begin to hash the shards, beside the work."""
        return HashCheck(self)

    def close(self) -> None:
        """Do nothing: the folder is the user's."""


def open_source(folder: Path, *, name: str) -> Source:
    """Open a folder.

    Args:
        folder: Any layout the runtime reads.
        name: What the user called it.

    Raises:
        ConfigError: No usable `config.json`.
        WeightError: Shards are missing, cut, or do not fit the configuration.
        UsageError: The weights are packed already.
    """
    checkpoint = open_checked(folder)
    shards = [file.path for file in checkpoint.source.files]
    display = name if "/" in name and not Path(name).exists() else folder.resolve().name
    known, revision = _read_known(folder, shards)
    return Source(checkpoint, Identity(_hub_name(folder) or display, revision, known))


def open_checked(folder: Path) -> Checkpoint:
    """Open a folder's checkpoint and refuse one that is packed already.

    Raises:
        ConfigError: No usable `config.json`.
        WeightError: Shards are missing, cut, or do not fit the configuration.
        UsageError: The weights are packed already.
    """
    checkpoint = open_checkpoint(folder, dtype=mx.bfloat16)
    if checkpoint.quantized:
        first = next(iter(checkpoint.quantized.values()))
        raise UsageError(
            f"{folder}: the weights are packed already ({first.bits} bits); packing them again would add their "
            "losses. Convert the bf16 or FP8 checkpoint they were made from."
        )
    return checkpoint


class _StoppedError(Exception):
    """The hashes are not wanted any more."""


class HashCheck:
    """Compute the sha256 of all shards beside the conversion, and refuse what differs from the known ones."""

    def __init__(self, source: Source) -> None:
        """Begin at once, in a thread of its own."""
        self._stop = Event()
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._result: Future[dict[str, str]] = self._pool.submit(self._run, source)

    def raise_if_failed(self) -> None:
        """Raise what the check has found so far."""
        if self._result.done():
            self._result.result()

    def result(self) -> dict[str, str]:
        """Wait for the end; return sha256 by shard.

        Raises:
            WeightError: A shard is not what was published.
        """
        return self._result.result()

    def close(self) -> None:
        """Stop, finished or not."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, source: Source) -> dict[str, str]:
        hashes = {}
        for file in source.checkpoint.source.files:
            name = file.path.name
            hashes[name] = sha256_of(file.path, on_bytes=self._check_stop)
            check_hash(file.path, hashes[name], source.identity.known_hashes.get(name))
        return hashes

    def _check_stop(self, num_bytes: int) -> None:
        if self._stop.is_set():
            raise _StoppedError


def check_hash(path: Path, found: str, expected: str | None) -> None:
    """Hold a shard's sha256 against the published one.

    Raises:
        WeightError: They differ.
    """
    if expected is not None and found != expected:
        raise WeightError(
            f"{path}: damaged or altered, expected sha256 {expected[:16]}..., found {found[:16]}... "
            "Delete this shard and download it again."
        )


def _read_known(folder: Path, shards: Sequence[Path]) -> tuple[dict[str, str], str | None]:
    """Collect the hashes and the commit that a download or a `SHA256SUMS` left."""
    known: dict[str, str] = {}
    revision = folder.resolve().name if _COMMIT.fullmatch(folder.resolve().name) else None
    sums = folder / SUMS_NAME
    if sums.is_file():
        pairs = (line.split(maxsplit=1) for line in sums.read_text(errors="replace").splitlines())
        known = {pair[1].lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}
    for path in shards:
        if path.is_symlink() and _SHA256.fullmatch(path.resolve().name):  # the cache names a blob by its hash
            known[path.name] = path.resolve().name
        record = folder / ".cache" / "huggingface" / "download" / f"{path.name}.metadata"
        if record.is_file():
            commit, etag = [*record.read_text(errors="replace").split(), "", ""][:2]
            revision = commit if _COMMIT.fullmatch(commit) else revision
            if _SHA256.fullmatch(etag):
                known[path.name] = etag
    return {name: value for name, value in known.items() if _SHA256.fullmatch(value)}, revision


def _hub_name(folder: Path) -> str | None:
    """Read org/name off a path of huggingface-hub's cache."""
    for part in folder.absolute().parts:
        if part.startswith("models--") and part.count("--") >= 2:
            return part.removeprefix("models--").replace("--", "/", 1)
    return None
