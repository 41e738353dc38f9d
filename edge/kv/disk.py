"""Kept prefixes on disk: one file per conversation, found by the longest shared beginning, within a byte budget.

In: the same keys and memories as the pool's. Out: memories of the same class, so a conversation goes on after the
program's end without a prefill. Files are named by the identity and by a digest of everything that the keys and values
depend on. Whatever else lies there, or got damaged, is ignored with one line in the log; nothing here fails a request.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.errors import ConfigError
from edge.kv.kept_file import (
    TEMPORARY_SUFFIX,
    KeptFileError,
    KeptHead,
    Steps,
    finish,
    kept_bytes,
    make_head,
    read_head,
    read_kept,
    write_kept,
)
from edge.kv.layer import LayerMemory, RowMemory
from edge.kv.prefix import MIN_SHARED_TOKENS, PrefixKey, fork_first, holds, shared_tokens, whole

SUFFIX = ".safetensors"
# Identity, then digest of the prefix.
_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{64}\.safetensors")
# What a program that was killed left half written goes when it is so old.
_STALE_S = 3600.0

_log = logging.getLogger(__name__)


class PrefixStore:
    """Kept prefixes in a folder. For the thread that owns the model only; other programs may share the folder."""

    def __init__(self, folder: Path, *, identity: str, max_bytes: int) -> None:
        """Open a folder, and make it where it does not exist; only its owner may read it.

        Args:
            folder: For files of this class alone; models may share it.
            identity: Names all that keys and values depend on beside the prompt: the checkpoint's files, adapters,
                rotary settings, compute type, kv bits. Files of another identity are left alone.
            max_bytes: Of all files together; the ones used longest ago go first.

        Raises:
            ConfigError: The folder cannot be made.
        """
        self._folder = folder
        self._identity = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._max_bytes = max_bytes
        # Name -> size and time of the file that was read, and its head; None where it is to be ignored.
        self._heads: dict[str, tuple[tuple[int, int], KeptHead | None]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            raise ConfigError(f"{folder}: expected a folder for kept conversations, found {error}.") from None
        for name, info in self._files(TEMPORARY_SUFFIX):
            if time.time() - info.st_mtime > _STALE_S:
                self._delete(name)

    @property
    def nbytes(self) -> int:
        """Bytes of all kept prefixes in the folder, other identities' included."""
        return sum(info.st_size for _, info in self._files(SUFFIX))

    def save(self, key: PrefixKey, memories: RowMemory) -> bool:
        """Write a prefix at once; see `save_steps`."""
        return finish(self.save_steps(key, memories))

    def save_steps(self, key: PrefixKey, memories: RowMemory) -> Steps[bool]:
        """Write a prefix, and delete those it continues and those for which there is no room now.

        Between two steps, one array each, rows may go on, the saved one included: it is forked first.

        Returns:
            Whether the prefix is on disk now. A full disk, or a prefix over the budget, is one line in the log.
        """
        key, memories = whole(key, [memory.fork() for memory in memories])
        if len(key.token_ids) < MIN_SHARED_TOKENS:
            return False
        head = make_head(self._identity, key, memories)
        try:
            return self._is_held(head) or (yield from self._write(head, memories))
        except OSError as error:
            _log.warning("A conversation of %d tokens is not kept on disk: %s", len(key.token_ids), error)
            return False

    def find(self, wanted: PrefixKey, *, longer_than: int = 0) -> tuple[list[LayerMemory], int] | None:
        """Restore the longest beginning of a prompt at once; see `find_steps`."""
        return finish(self.find_steps(wanted, longer_than=longer_than))

    def find_steps(self, wanted: PrefixKey, *, longer_than: int = 0) -> Steps[tuple[list[LayerMemory], int] | None]:
        """Restore the longest beginning of a prompt, one array a step.

        Args:
            wanted: The prompt.
            longer_than: Tokens that are at hand without the disk; no file is read for as many or fewer.

        Returns:
            Memories cut to the shared beginning, and its length in tokens; None when too little is shared.
        """
        found = [(shared_tokens(head.key, wanted), name) for name, head in self._known()]
        for shared, name in sorted(found, reverse=True):
            if shared < MIN_SHARED_TOKENS or shared <= longer_than:
                return None
            memories = yield from self._restore(name)
            if memories is not None:
                return fork_first(memories, shared), shared
        return None

    def delete_all(self) -> None:
        """Delete every kept prefix in the folder, other identities' and half-written ones included."""
        for name, _ in [*self._files(SUFFIX), *self._files(TEMPORARY_SUFFIX)]:
            self._delete(name)

    def _write(self, head: KeptHead, memories: RowMemory) -> Steps[bool]:
        num_bytes = kept_bytes(head, memories)
        if num_bytes > self._max_bytes:
            _log.warning("A conversation needs %d bytes on disk, allowed are %d: not kept", num_bytes, self._max_bytes)
            return False
        for name, other in self._known():
            if other.form == head.form and holds(head.key, other.key):
                self._delete(name)
        self._make_room(num_bytes)
        yield from write_kept(self._folder / _file_name(head), head, memories)
        return True

    def _make_room(self, num_bytes: int) -> None:
        """Delete the files used longest ago until so many bytes fit."""
        files = sorted(self._files(SUFFIX), key=lambda item: item[1].st_mtime_ns)
        surplus = sum(info.st_size for _, info in files) + num_bytes - self._max_bytes
        for name, info in files:
            if surplus <= 0:
                return
            self._delete(name)
            surplus -= info.st_size

    def _is_held(self, head: KeptHead) -> bool:
        """Whether a file holds all of a prefix already; it counts as used."""
        for name, other in self._known():
            if other.form == head.form and holds(other.key, head.key):
                self._use(name)
                return True
        return False

    def _known(self) -> Iterator[tuple[str, KeptHead]]:
        """Yield the heads of this identity's files; a file is read once."""
        for name, info in self._files(SUFFIX):
            if not name.startswith(self._identity):
                continue
            look = (info.st_size, info.st_mtime_ns)
            if name not in self._heads or self._heads[name][0] != look:
                self._heads[name] = (look, self._read_head(name))
            head = self._heads[name][1]
            if head is not None:
                yield name, head

    def _read_head(self, name: str) -> KeptHead | None:
        try:
            head = read_head(self._folder / name)
            if _file_name(head) != name:
                raise KeptFileError("its name is not that of its content")
            return head
        except (KeptFileError, OSError) as error:
            _warn(name, error)
            return None

    def _restore(self, name: str) -> Steps[list[LayerMemory] | None]:
        try:
            _, memories = yield from read_kept(self._folder / name)
        except (KeptFileError, OSError) as error:
            if name in self._heads:
                self._heads[name] = (self._heads[name][0], None)
            _warn(name, error)
            return None
        self._use(name)
        return memories

    def _use(self, name: str) -> None:
        """Note that a file was used now, which is what its time says."""
        path = self._folder / name
        with suppress(OSError, KeyError):
            os.utime(path)
            info = path.stat()
            self._heads[name] = ((info.st_size, info.st_mtime_ns), self._heads[name][1])

    def _files(self, suffix: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the regular files that are, or were to be, kept prefixes."""
        with suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                is_ours = _NAME.fullmatch(path.name) if suffix == SUFFIX else path.suffix == suffix
                with suppress(OSError):
                    if is_ours and stat.S_ISREG((info := path.lstat()).st_mode):
                        yield path.name, info

    def _delete(self, name: str) -> None:
        self._heads.pop(name, None)
        with suppress(OSError):
            (self._folder / name).unlink()


def _file_name(head: KeptHead) -> str:
    return f"{head.identity}-{head.digest()}{SUFFIX}"


def _warn(name: str, error: Exception) -> None:
    _log.warning("The kept conversation %s is ignored: %s", name, error)
