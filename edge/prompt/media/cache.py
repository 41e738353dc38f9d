"""Keep prepared pictures and videos, so that later turns of a talk do not decode them again.

In: media items. Out: the same `Media` as long as source and settings are the same. Files are known by path, size and
times; bytes, data URLs and file objects by their hash. Pictures already in memory may change unseen and are not kept.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge.errors import EdgeError
from edge.prompt.media.prepare import Media
from edge.prompt.media.source import MAX_MEMORY_VIDEO_BYTES, as_path, is_data_url, is_file_object, read_bytes
from edge.prompt.types import MediaItem

MAX_CACHED_BYTES = 256 << 20


class MediaCache:
    """The last used media within a number of bytes; safe on any thread."""

    def __init__(self, max_bytes: int = MAX_CACHED_BYTES) -> None:
        """Make an empty cache.

        Args:
            max_bytes: Most bytes of resized pixels kept; 0 keeps nothing.
        """
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._media: OrderedDict[str, Media] = OrderedDict()
        self._num_bytes = 0

    @property
    def num_bytes(self) -> int:
        """Bytes of pixels kept now."""
        return self._num_bytes

    def get(self, item: MediaItem, prepare: Callable[[MediaItem], Media]) -> Media:
        """Return what `prepare` made of the same item before, or make it now.

        Raises:
            EdgeError: What `prepare` raises; nothing is kept then.
        """
        if is_file_object(item.source):
            item = replace(item, source=read_bytes(item.source, label=item.label, max_bytes=MAX_MEMORY_VIDEO_BYTES))
        key = _item_key(item)
        if key is None:
            return prepare(item)
        with self._lock:
            if key in self._media:
                self._media.move_to_end(key)
                return self._media[key]
        media = prepare(item)
        with self._lock:
            if key not in self._media and media.pixels.nbytes <= self._max_bytes:
                self._media[key] = media
                self._num_bytes += media.pixels.nbytes
            while self._num_bytes > self._max_bytes:
                self._num_bytes -= self._media.popitem(last=False)[1].pixels.nbytes
        return media


def _item_key(item: MediaItem) -> str | None:
    source = item.source
    if isinstance(source, bytes):
        identity = hashlib.sha256(source).hexdigest()
    elif isinstance(source, str) and is_data_url(source):
        identity = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    elif isinstance(source, str | Path):
        try:
            path = as_path(source, item.label).resolve()
            stat = path.stat()
        except (EdgeError, OSError, ValueError, RuntimeError):
            return None  # preparing it says what is wrong
        identity = f"{path} {stat.st_size} {stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}"
    else:
        return None
    return f"{item.kind} {identity} {item.label} {sorted(item.options.items())!r}"
