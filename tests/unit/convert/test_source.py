"""The files of a source: their hashes, and what tells them from changed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.source import sha256_of
from edge.errors import WeightError


def test_sha256_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(np.arange(1000, dtype=np.uint8).tobytes() * 9000)
    seen: list[int] = []
    assert sha256_of(path, on_bytes=seen.append) == sha256_of(path)
    assert sum(seen) == 9_000_000
    with pytest.raises(WeightError, match="cannot be read"):
        sha256_of(tmp_path / "none")
