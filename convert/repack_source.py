"""Open the files of a GGUF model as a source, and read them with plain reads.

In: paths. Out: the checked pair, and `SourceFiles` for the line. A mapped file that is cut while it is read kills the
process; a plain read of it comes back short, which is one line for the user. Tested by
tests/unit/convert/test_repack.py and tests/system/test_convert_line.py.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.source import Identity, SourceFiles, SpoiledError, read_known, stamp_files
from edge.checkpoint.files.gguf import GgufFile
from edge.checkpoint.pair import GgufPair, open_pair
from edge.errors import WeightError


def open_gguf_source(path: Path, projector: Path | None) -> tuple[GgufPair, SourceFiles]:
    """Open a GGUF model.

    Args:
        path: The text file, any part of it, or a folder that holds one.
        projector: The projector; None looks beside the text file.

    Raises:
        ConfigError: No such file, or the metadata is not a Qwen3-VL's.
        WeightError: A file is broken, the projector is missing or of another model, or tensors do not fit.
    """
    folder = path if path.is_dir() else path.parent
    named = [] if projector is None else [projector]
    near = [*folder.glob("*"), *folder.resolve().parent.glob("*.gguf"), *named]
    stamps = stamp_files(near)
    pair = open_pair(path, projector)
    weights = sorted({tensor.path for file in (pair.text, pair.projector) for tensor in file.tensors.values()})
    known: dict[str, str] = {}
    revision = None
    for place in sorted({weight.parent for weight in weights}):
        own, own_revision = read_known(place, [weight for weight in weights if weight.parent == place])
        known |= own
        revision = own_revision or revision
    used = {weight: stamps.get(weight) or stamp_files([weight])[weight] for weight in weights}
    return pair, SourceFiles(folder, tuple(weights), Identity(pair.text.path.name, revision, known), used)


def read_plainly(pair: GgufPair) -> GgufPair:
    """Return a pair whose tensors are read without a mapping."""
    return replace(pair, text=_PlainFile(pair.text), projector=_PlainFile(pair.projector))


class _PlainFile(GgufFile):
    def __init__(self, file: GgufFile) -> None:
        self.path, self.metadata, self.tensors = file.path, file.metadata, file.tensors
        self._maps = {}

    def read_bytes(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Read bytes of a tensor's rows, (rows, bytes per row); rows count over all but the last axis."""
        tensor = self.tensors[name]
        num_rows = prod(tensor.shape[:-1])
        stop = num_rows if stop is None else stop
        assert 0 <= start <= stop <= num_rows, f"{name}: rows {start}..{stop} of {num_rows}"
        count = (stop - start) * tensor.row_bytes
        try:
            raw = np.fromfile(tensor.path, np.uint8, count=count, offset=tensor.start + start * tensor.row_bytes)
        except OSError as error:
            raise WeightError(f"{tensor.path}: {name} cannot be read ({error.strerror}). Check the disk.") from None
        if raw.size != count:
            raise SpoiledError(f"{tensor.path}: truncated while it was read, at {name}. Download it again.")
        return raw.reshape(stop - start, tensor.row_bytes)

    def release(self, name: str) -> None:
        """Do nothing: no pages are held."""
