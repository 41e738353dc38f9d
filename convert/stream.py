"""Convert a hub repository shard by shard, so that the disk holds one shard and the output.

In: a hub id. Out: `SourceFiles` whose shards are stubs (the published header and a hole of the right length) until they
are needed; then one is downloaded, held against its published sha256, used, and removed.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx

from convert.disk import explain_disk_errors
from convert.source import Identity, Source, SourceFiles, open_checked, sha256_of, stamp_files
from edge.checkpoint.adapter import WEIGHTS_NAME as ADAPTER_WEIGHTS
from edge.checkpoint.adapter_config import CONFIG_NAME as ADAPTER_CONFIG
from edge.checkpoint.files.header import MAX_HEADER_BYTES
from edge.checkpoint.files.hub import FILE_PATTERNS, ask_hub
from edge.errors import SpoiledError, WeightError

_FIRST_BYTES = 100_000  # holds most headers
_TIMEOUT_S = 30.0  # without a byte
_DEADLINE_S = 300  # for a header, of at most 100 MB
_SMALL_PATTERNS = tuple(pattern for pattern in FILE_PATTERNS if not pattern.endswith(".safetensors"))


@dataclass(frozen=True, slots=True)
class Repository:
    """What the hub says about a repository: commit, length and sha256 of its shards, sha256 of an adapter's weights."""

    repo_id: str
    commit: str
    sizes: Mapping[str, int]
    hashes: Mapping[str, str]
    adapter_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedFiles(SourceFiles):
    """A repository that is downloaded shard by shard into the folder of the stubs.

    Attributes:
        repository: What the hub says of it.
        adapter_hashes: sha256 by name of the files of an adapter that is merged.
    """

    repository: Repository
    adapter_hashes: Mapping[str, str] = field(default_factory=dict)

    def key(self) -> str:
        """Return commit and published hashes: the files here come and go."""
        marks = [self.repository.repo_id, self.repository.commit, dict(self.repository.hashes)]
        return json.dumps([*marks, dict(self.adapter_hashes)] if self.adapter_hashes else marks)

    @property
    def extra_bytes(self) -> int:
        """Disk space for the largest shard."""
        return max(self.repository.sizes.values())

    @property
    def holds_weights(self) -> bool:
        """No: shards come one after another."""
        return False

    def batches(self, needs: Mapping[int, frozenset[str]]) -> Iterator[list[int]]:
        """Download shard after shard; yield the pieces that have all their shards, then remove what is used up."""
        waiting = dict(needs)
        present: set[str] = set()
        for shard in sorted(self.repository.sizes):
            if not any(shard in needed for needed in waiting.values()):
                continue
            self._fetch(shard)
            present.add(shard)
            ready = [number for number, needed in waiting.items() if needed <= present]
            for number in ready:
                del waiting[number]
            if ready:
                yield ready
            for used in [name for name in present if not any(name in needed for needed in waiting.values())]:
                _remove_shard(self.folder, used)
                present.discard(used)

    def check_unchanged(self) -> None:
        """Refuse an adapter that was changed: shards were held against their hashes before they were used."""
        SourceFiles.check_unchanged(self)

    def start_hashes(self) -> PublishedHashes:
        """Return the published hashes: a shard is checked before its first weight is used."""
        return PublishedHashes({**self.repository.hashes, **self.adapter_hashes})

    def close(self) -> None:
        """Remove the stubs and small files."""
        with explain_disk_errors(self.folder):
            shutil.rmtree(self.folder)

    def _fetch(self, shard: str) -> None:
        from huggingface_hub import hf_hub_download

        repository, path = self.repository, self.folder / shard
        if not _record_of(self.folder, shard).is_file():
            path.unlink(missing_ok=True)  # the stub
        ask_hub(
            lambda: hf_hub_download(repository.repo_id, shard, revision=repository.commit, local_dir=self.folder),
            repository.repo_id,
            repository.commit,
            was_reached=True,
        )
        try:
            sha256_of(path, expected=repository.hashes[shard])
        except SpoiledError as error:
            _remove_shard(self.folder, shard)
            raise WeightError(str(error)) from None  # what was made of other shards stays good


@dataclass(frozen=True, slots=True)
class PublishedHashes:
    """The hashes of a repository."""

    hashes: Mapping[str, str]

    def raise_if_failed(self) -> None:
        """Do nothing: shards are checked when they arrive."""

    def result(self) -> dict[str, str]:
        """Return sha256 by shard."""
        return dict(self.hashes)

    def close(self) -> None:
        """Do nothing."""


def open_stream(
    repo_id: str,
    folder: Path,
    *,
    revision: str | None,
    dtype: mx.Dtype = mx.bfloat16,
    takes_packed: bool = False,
    adapter: Path | None = None,
) -> Source:
    """Fetch everything of a repository but its weights, and open it as a checkpoint.

    Args:
        repo_id: Hub id org/name.
        folder: Where stubs and small files go; shards downloaded there before are kept.
        revision: Branch, tag or commit; the main branch if None.
        dtype: What FP8 weights are decoded to.
        takes_packed: Whether weights that are packed already may be packed again.
        adapter: Folder of a LoRA adapter to merge; None takes the one in the repository, if any.

    Raises:
        ConfigError: No usable `config.json`, or no such name.
        WeightError: The hub cannot be reached, or the repository is no complete Qwen3-VL checkpoint.
    """
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    repository = _ask_hub(repo_id, revision)
    _fetch_small_files(repository, folder, revision)
    _write_stubs(repository, folder)
    stamps = stamp_files((adapter or folder) / name for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS))
    checkpoint = open_checked(folder, dtype=dtype, takes_packed=takes_packed, adapter=adapter)
    own = () if checkpoint.adapter is None else checkpoint.adapter.files
    published = {} if adapter is not None else {ADAPTER_WEIGHTS: repository.adapter_hash}
    files = StreamedFiles(
        folder,
        weights=tuple(file.path for file in checkpoint.source.files),
        identity=Identity(repo_id, repository.commit, repository.hashes),
        stamps={path: stamps[path] for path in own},
        repository=repository,
        adapter_hashes={path.name: sha256_of(path, expected=published.get(path.name)) for path in own},
    )
    return Source(checkpoint, files)


def _fetch_small_files(repository: Repository, folder: Path, revision: str | None) -> None:
    """Download everything but weights; an adapter's are small enough to come along."""
    from huggingface_hub import snapshot_download

    ask_hub(
        lambda: snapshot_download(
            repository.repo_id,
            revision=repository.commit,
            local_dir=folder,
            allow_patterns=[*_SMALL_PATTERNS, ADAPTER_WEIGHTS],
            ignore_patterns=["*/*"],
        ),
        repository.repo_id,
        revision,
        was_reached=True,
    )


def _write_stubs(repository: Repository, folder: Path) -> None:
    """Write for every shard its published header and a hole of the right length."""
    for shard, size in repository.sizes.items():
        path = folder / shard
        if _record_of(folder, shard).is_file() and path.is_file() and path.stat().st_size == size:
            continue  # downloaded before the work was interrupted
        _remove_shard(folder, shard)
        header = _fetch_header(repository, shard)
        with explain_disk_errors(path), path.open("wb") as file:
            file.write(header)
            file.truncate(max(size, len(header)))


def _ask_hub(repo_id: str, revision: str | None) -> Repository:
    from huggingface_hub import HfApi

    info = ask_hub(
        lambda: HfApi().model_info(repo_id, revision=revision, files_metadata=True, timeout=_TIMEOUT_S),
        repo_id,
        revision,
    )
    shards = [
        item
        for item in info.siblings or ()
        if item.rfilename.endswith(".safetensors") and "/" not in item.rfilename and item.rfilename != ADAPTER_WEIGHTS
    ]
    if not shards or info.sha is None:
        raise WeightError(f"{repo_id}: the repository holds no .safetensors files. Choose a safetensors version of it.")
    sizes: dict[str, int] = {}
    hashes: dict[str, str] = {}
    for item in shards:
        if item.lfs is None:
            raise WeightError(
                f"{repo_id}: the hub gives no sha256 of {item.rfilename}, so that it cannot be checked. "
                "Convert without --stream."
            )
        sizes[item.rfilename], hashes[item.rfilename] = item.lfs.size, item.lfs.sha256
    adapters = [item.lfs for item in info.siblings or () if item.rfilename == ADAPTER_WEIGHTS]
    own = next((lfs.sha256 for lfs in adapters if lfs is not None), None)
    return Repository(repo_id, info.sha, sizes, hashes, adapter_hash=own)


def _fetch_header(repository: Repository, shard: str) -> bytes:
    """Read length and header of a shard, and nothing of its tensors."""
    content = _fetch_range(repository, shard, _FIRST_BYTES)
    length = 8 + int.from_bytes(content[:8], "little")
    if not 8 < length <= MAX_HEADER_BYTES:
        raise WeightError(f"{repository.repo_id}: {shard} is no safetensors file. Choose another version of the model.")
    if length > len(content):
        content = _fetch_range(repository, shard, length)
    return content[:length]


def _fetch_range(repository: Repository, shard: str, length: int) -> bytes:
    """Fetch the first bytes of a file, and no more even where the server sends all of it."""
    from huggingface_hub import get_session, hf_hub_url

    # Public there, but re-exported without an __all__, which strict mypy wants.
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    url = hf_hub_url(repository.repo_id, shard, revision=repository.commit)
    headers = {**build_hf_headers(), "range": f"bytes=0-{length - 1}"}

    def fetch() -> bytes:
        content = bytearray()
        end_s = time.monotonic() + _DEADLINE_S
        with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_S) as response:
            if response.status_code >= 400:
                response.read()
            hf_raise_for_status(response)
            for part in response.iter_bytes():
                content += part
                if len(content) >= length:
                    break
                if time.monotonic() > end_s:
                    raise TimeoutError(f"{shard}: {len(content)} bytes in {_DEADLINE_S} s")
        return bytes(content[:length])

    return ask_hub(fetch, repository.repo_id, repository.commit, was_reached=True)


def _record_of(folder: Path, shard: str) -> Path:
    """Name the file in which huggingface-hub notes that a download is complete."""
    return folder / ".cache" / "huggingface" / "download" / f"{shard}.metadata"


def _remove_shard(folder: Path, shard: str) -> None:
    _record_of(folder, shard).unlink(missing_ok=True)
    (folder / shard).unlink(missing_ok=True)
