from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import MediaError
from edge.prompt.media.source import open_source, read_bytes, source_label

DATA = b"some bytes"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a b.bin"
    file.write_bytes(DATA)
    return file


def test_every_kind_of_source_gives_the_same_bytes(path: Path) -> None:
    encoded = base64.b64encode(DATA).decode()
    sources = [
        path,
        str(path),
        path.as_uri(),
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        io.BytesIO(DATA),
        f"data:image/png;base64,{encoded}",
        f"data:image/png;base64,{encoded.rstrip('=')}",
        "data:,some%20bytes",
    ]
    assert [read_bytes(source, label="x") for source in sources] == [DATA] * len(sources)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://example.org/a.png", "addresses are not fetched"),
        ("HTTPS://example.org/a.png", "addresses are not fetched"),
        ("file://elsewhere/a.png", "another computer"),
        ("/no/such/file.png", "file not found"),
        ("", "is not a path"),
        ("a\0b", "is not a path"),
        (b"", "no bytes"),
        (io.BytesIO(), "empty or was read to its end"),
        (io.StringIO("text"), "mode 'rb'"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,%%%", "not valid base64"),
        ("data:image/png;base64,", "empty"),
        (7, "expected a path, a data URL"),
        (None, "expected a path, a data URL"),
    ],
)
def test_what_cannot_be_read_is_named(source: object, message: str) -> None:
    with pytest.raises(MediaError, match=message) as caught:
        read_bytes(source, label="image 1")
    assert "\n" not in str(caught.value)


def test_folders_empty_files_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for name, message in ((".", "is a folder"), ("empty", "file is empty"), ("pipe", "not a regular file")):
        with pytest.raises(MediaError, match=message):
            open_source(tmp_path / name, label="x")


def test_devices_are_not_read() -> None:
    with pytest.raises(MediaError, match="not a regular file"):
        read_bytes("/dev/zero", label="x")


def test_files_may_be_forbidden(path: Path) -> None:
    with pytest.raises(MediaError, match="may not be named here"):
        read_bytes(str(path), label="x", allow_files=False)
    assert read_bytes(DATA, label="x", allow_files=False) == DATA


def test_sources_have_a_size_limit(path: Path) -> None:
    for source in (path, io.BytesIO(DATA)):
        with pytest.raises(MediaError, match="Make it smaller"):
            read_bytes(source, label="x", max_bytes=4)


def test_long_names_are_cut_in_messages() -> None:
    assert len(source_label("x" * 500, "image 1")) == 80
    assert source_label("data:image/png;base64,AAAA", "image 1") == "image 1"


class Pipe(io.RawIOBase):
    """Gives its bytes once."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = DATA

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found, self._rest = self._rest, b""
        return found


class Bare:
    """Has nothing but read()."""

    def __init__(self) -> None:
        self._rest = DATA

    def read(self, size: int) -> bytes:
        found, self._rest = self._rest, b""
        return found


@pytest.mark.parametrize("make", [lambda: io.BytesIO(DATA), Pipe, Bare])
def test_a_file_object_can_be_read_in_every_turn(make: Callable[[], object]) -> None:
    source = make()
    assert [read_bytes(source, label="x") for _ in range(3)] == [DATA] * 3


def test_a_file_closed_after_the_first_turn_is_remembered(path: Path) -> None:
    with path.open("rb") as file:
        assert read_bytes(file, label="x") == DATA
    assert read_bytes(file, label="x") == DATA


def test_a_file_object_is_read_from_where_it_stands_and_left_there(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(5)
        assert read_bytes(file, label="x") == DATA[5:]
        assert file.tell() == 5


def test_a_changed_file_object_gives_its_new_content() -> None:
    file = io.BytesIO(b"old bytes")
    assert read_bytes(file, label="x") == b"old bytes"
    file.write(b"new")
    file.seek(0)
    assert read_bytes(file, label="x") == b"new bytes"
