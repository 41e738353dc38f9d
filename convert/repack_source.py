"""Open the files of a GGUF model as a source.

In: paths. Out: the checked pair, and `SourceFiles` for the line.
"""

from __future__ import annotations

from pathlib import Path

from convert.source import Identity, SourceFiles, read_known, stamp_files
from edge.checkpoint.pair import GgufPair, open_pair


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
