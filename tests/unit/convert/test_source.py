"""The files of a source: their hashes, and what tells them from changed ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from convert.source import Identity, SourceFiles, read_known, sha256_of, stamp_files
from edge.errors import SpoiledError, WeightError


def test_sha256_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(np.arange(1000, dtype=np.uint8).tobytes() * 9000)
    seen: list[int] = []
    assert sha256_of(path, on_bytes=seen.append) == sha256_of(path)
    assert sum(seen) == 9_000_000
    with pytest.raises(WeightError, match="cannot be read"):
        sha256_of(tmp_path / "none")


def test_stamps_see_content_times_and_replacement_and_leave_out_what_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"one")
    os.mkfifo(tmp_path / "pipe")
    first = stamp_files([path, tmp_path / "pipe", tmp_path / "none", tmp_path])
    assert list(first) == [path]
    status = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamp_files([path]) != first


@pytest.mark.parametrize("form", ["{}  {}", "{} *{}", "{}  ./{}", "{}   {}"])
def test_published_sums_are_read_in_every_form(form: str, tmp_path: Path) -> None:
    value = hashlib.sha256(b"x").hexdigest()
    lines = ["", "# a note", form.format(value.upper(), "a.safetensors"), "zz  b.safetensors", "word"]
    (tmp_path / "SHA256SUMS").write_bytes("\n".join(lines).encode() + b"\n\xff\xfe")
    known, revision = read_known(tmp_path, [])
    assert known == {"a.safetensors": value}
    assert revision is None


def test_a_change_of_a_small_file_spoils_the_source_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    files = SourceFiles(tmp_path, (), Identity("n", None, {}), stamp_files([tmp_path / "config.json"]))
    files.check_unchanged()
    (tmp_path / "config.json").unlink()
    with pytest.raises(SpoiledError, match=r"config\.json: changed while it was converted"):
        files.check_unchanged()
