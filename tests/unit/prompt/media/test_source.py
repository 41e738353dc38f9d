from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import MediaError
from edge.prompt.media.source import open_source, read_bytes, source_label, typed_source

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
        path.as_uri().replace("file:///", "FILE://LocalHost/"),
        path.as_uri().replace("file:///", "file:/"),
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        io.BytesIO(DATA),
        f"data:image/png;base64,{encoded}",
        f"data:image/png;base64,{encoded.rstrip('=')}",
        "data:,some%20bytes",
        f"DATA:IMAGE/PNG;BASE64,{encoded}",
    ]
    assert [read_bytes(source, label="x") for source in sources] == [DATA] * len(sources)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://example.org/a.png", "addresses are not fetched"),
        ("HTTPS://example.org/a.png", "addresses are not fetched"),
        ("file://elsewhere/a.png", "another computer"),
        ("FILE://Elsewhere/a.png", "another computer"),
        ("file://[/a.png", "not a valid file URL"),
        ("file:///", "is a folder"),
        ("s3://bucket/a.png", "addresses are not fetched"),
        (Path("https://example.org/a.png"), "Give it as text"),
        (Path("data:image/png;base64,iVBO//Rw0"), "Give it as text"),
        (Path("file:///a.png"), "Give it as text"),
        ("~nosuchuser/a.png", "no such user"),
        ("/no/such/file.png", "file not found. Check the path"),
        ("iVBORw0KGgo" * 12 + "=", "looks like base64: give the bytes, or a data URL"),
        ("iVBORw0KGgo" * 999, "looks like base64: give the bytes, or a data URL"),
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


def test_names_need_not_be_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.bin")
    Path(name).write_bytes(DATA)
    assert read_bytes(Path(name).as_uri(), label="x") == read_bytes(name, label="x") == DATA


@pytest.mark.parametrize("text", ["data:image/png;base64,QQ//", "a b.png", "./a:b.png", "C:a.png", "~/a.png"])
def test_what_is_typed_goes_through_the_same_door(text: str) -> None:
    expected = text if text.startswith("data:") else Path(text).expanduser()
    assert typed_source(text) == expected


def test_typed_file_urls_are_paths_and_addresses_are_refused(path: Path) -> None:
    assert typed_source(path.as_uri()) == path
    with pytest.raises(MediaError, match="addresses are not fetched"):
        typed_source("Http://example.org/a.png")
