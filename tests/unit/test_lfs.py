"""A pointer of git-lfs is named as what it is, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.checkpoint.files.gguf import open_gguf
from edge.checkpoint.files.shards import SafetensorsFile
from edge.config_json import read_json_object
from edge.errors import WeightError
from edge.lfs import refuse_pointer
from edge.prompt.text.tokenizer import Tokenizer

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n"


@pytest.mark.parametrize("read", [SafetensorsFile, open_gguf, read_json_object])
def test_every_reader_names_a_pointer(read: object, tmp_path: Path) -> None:
    assert callable(read)
    path = tmp_path / "file"
    path.write_bytes(POINTER)
    with pytest.raises(WeightError, match=r"file: a git-lfs pointer of a few lines.*git lfs pull"):
        read(path)


def test_a_tokenizer_that_is_a_pointer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(POINTER)
    with pytest.raises(WeightError, match=r"tokenizer\.json: a git-lfs pointer"):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("start", [b"", b"version", b"GGUF", b"{}"])
def test_other_files_are_no_pointers(start: bytes, tmp_path: Path) -> None:
    refuse_pointer(start, tmp_path)
