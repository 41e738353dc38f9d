"""Open what is converted, say where it comes from, and hold its files against the hashes that are known for them.

In: a folder, or the files of a GGUF model. Out: `SourceFiles`: paths with an identity, marked when they were opened.
Hashes are known for folders downloaded with huggingface-hub (its cache, or a local folder of its making) and where a
`SHA256SUMS` lies.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

import mlx.core as mx

from edge.checkpoint.folder import Checkpoint, open_checkpoint
from edge.errors import SpoiledError, UsageError, WeightError

SUMS_NAME = "SHA256SUMS"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH_BYTES = 2**22
_MOST_SUMS_BYTES = 2**22
_COMPANIONS = ("*.json", "*.jinja", "*.txt")
Stamp = tuple[int, int, int, int]  # length, times of content and status, inode


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
class SourceFiles:
    """The files a conversion reads.

    Attributes:
        folder: Where configuration, tokenizer and (unless streamed) the weights lie.
        weights: The files with weights.
        identity: Where they come from.
        stamps: What every file was when it was opened, the small ones included.
    """

    folder: Path
    weights: tuple[Path, ...]
    identity: Identity
    stamps: Mapping[Path, Stamp] = field(default_factory=dict)

    def key(self) -> str:
        """Return what tells this source from another one and from a changed one."""
        known = self.identity.known_hashes
        marks = [[path.name, known.get(path.name), self.stamps[path][:3]] for path in sorted(self.weights)]
        return json.dumps([self.identity.name, self.identity.revision, marks])

    @property
    def extra_bytes(self) -> int:
        """Disk space that the source itself takes on the way."""
        return 0

    @property
    def holds_weights(self) -> bool:
        """Whether all weights can be read at any time."""
        return True

    def batches(self, needs: Mapping[int, frozenset[str]]) -> Iterator[list[int]]:
        """Yield the pieces whose files are there; here all of them at once.

        Args:
            needs: Number of a piece -> names of the files it reads.
        """
        if needs:
            yield list(needs)

    def start_hashes(self) -> Hashes:
        """Begin to hash the files, beside the work."""
        return HashCheck(self)

    def check_unchanged(self) -> None:
        """Refuse a source that is not any more what was opened.

        Raises:
            SpoiledError: A file was changed, replaced or removed.
        """
        for path, former in self.stamps.items():
            if stamp_files([path]).get(path) != former:
                raise SpoiledError(
                    f"{path}: changed while it was converted, so that the output would be mixed of old and new. What "
                    "was made is removed; run the same command again."
                )

    def close(self) -> None:
        """Do nothing: the files are the user's."""


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint to convert, and its files."""

    checkpoint: Checkpoint
    files: SourceFiles


def open_source(
    folder: Path,
    *,
    name: str,
    dtype: mx.Dtype = mx.bfloat16,
    takes_packed: bool = False,
    adapter: Path | None = None,
) -> Source:
    """Open a folder.

    Args:
        folder: Any layout the runtime reads.
        name: What the user called it.
        dtype: What FP8 weights are decoded to.
        takes_packed: Whether weights that are packed already may be packed again.
        adapter: Folder of a LoRA adapter to merge; None takes the one in the model's folder, if any.

    Raises:
        ConfigError: No usable `config.json`.
        WeightError: Shards are missing, cut, or do not fit the configuration, or the adapter does not.
        UsageError: The weights are packed already.
    """
    places = [folder] if adapter is None else [folder, adapter]
    stamps = stamp_files(
        path for place in places for pattern in ("*.safetensors", *_COMPANIONS) for path in place.glob(pattern)
    )
    checkpoint = open_checked(folder, dtype=dtype, takes_packed=takes_packed, adapter=adapter)
    own = () if checkpoint.adapter is None else checkpoint.adapter.files
    weights = (*(file.path for file in checkpoint.source.files), *own)
    display = name if "/" in name and not Path(name).exists() else folder.resolve().name
    known, revision = read_known(folder, weights)
    used = {path: stamp for path, stamp in stamps.items() if path in weights or path.suffix != ".safetensors"}
    return Source(
        checkpoint, SourceFiles(folder, weights, Identity(_hub_name(folder) or display, revision, known), used)
    )


def open_checked(folder: Path, *, dtype: mx.Dtype, takes_packed: bool, adapter: Path | None = None) -> Checkpoint:
    """Open a folder's checkpoint and refuse one that is packed already, unless it was asked for.

    Raises:
        ConfigError: No usable `config.json`.
        WeightError: Shards are missing, cut, or do not fit the configuration.
        UsageError: The weights are packed already.
    """
    checkpoint = open_checkpoint(folder, dtype=dtype, adapter=adapter)
    if checkpoint.quantized and not takes_packed:
        first = next(iter(checkpoint.quantized.values()))
        raise UsageError(
            f"{folder}: the weights are packed already ({first.bits} bits); packing them again would add their "
            "losses. Convert the bf16 or FP8 checkpoint they were made from, or give --from-packed."
        )
    return checkpoint


def stamp_files(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Note what files are now; pipes, folders and what is not there are left out."""
    stamps = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            stamps[path] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return stamps


def mark_files(paths: Iterable[Path]) -> dict[str, str]:
    """Return by name what tells each file from a changed one; reading 60 GB to tell better would take minutes."""
    statuses = {path.name: path.stat() for path in sorted(paths)}
    return {name: f"{status.st_size} bytes of {status.st_mtime_ns}" for name, status in statuses.items()}


class _StoppedError(Exception):
    """The hashes are not wanted any more."""


class HashCheck:
    """Compute the sha256 of all shards beside the conversion, and refuse what differs from the known ones."""

    def __init__(self, files: SourceFiles) -> None:
        """Begin at once, in a thread of its own."""
        self._stop = Event()
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._result: Future[dict[str, str]] = self._pool.submit(self._run, files)

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

    def _run(self, files: SourceFiles) -> dict[str, str]:
        known = files.identity.known_hashes
        small = [path for path in files.stamps if path.name in known and path not in files.weights]
        hashes = {path: sha256_of(path, on_bytes=self._check_stop, expected=known.get(path.name)) for path in small}
        for path in files.weights:
            hashes[path] = sha256_of(path, on_bytes=self._check_stop, expected=known.get(path.name))
        return {path.name: hashes[path] for path in files.weights}

    def _check_stop(self, num_bytes: int) -> None:
        if self._stop.is_set():
            raise _StoppedError


def sha256_of(path: Path, *, on_bytes: Callable[[int], None] | None = None, expected: str | None = None) -> str:
    """Compute the sha256 of a file, a few megabytes at a time.

    Args:
        path: The file.
        on_bytes: Called after each part with its length; may raise to stop.
        expected: What was published, if it is known.

    Raises:
        WeightError: The file cannot be read.
        SpoiledError: It is not what was published.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while part := file.read(_HASH_BYTES):
                digest.update(part)
                if on_bytes is not None:
                    on_bytes(len(part))
    except OSError as error:
        raise WeightError(f"{path}: cannot be read ({error.strerror}). Check the file and the disk.") from None
    found = digest.hexdigest()
    if expected is not None and found != expected:
        raise SpoiledError(
            f"{path}: damaged or altered, expected sha256 {expected[:16]}..., found {found[:16]}... "
            "Delete this file and download it again."
        )
    return found


def read_known(folder: Path, weights: Sequence[Path]) -> tuple[dict[str, str], str | None]:
    """Collect the hashes (sha256 by name) and the commit that a download or a `SHA256SUMS` left in a folder."""
    known: dict[str, str] = {}
    revision = folder.resolve().name if _COMMIT.fullmatch(folder.resolve().name) else None
    sums = folder / SUMS_NAME
    if sums.is_file():
        with sums.open(encoding="utf-8", errors="replace") as file:
            pairs = [line.split(maxsplit=1) for line in file.read(_MOST_SUMS_BYTES).splitlines()]
        known = {pair[1].strip().lstrip("*").removeprefix("./"): pair[0].lower() for pair in pairs if len(pair) == 2}
    for path in weights:
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
