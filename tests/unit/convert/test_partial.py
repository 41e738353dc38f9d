"""Unfinished conversions: taken up where they stopped, refused where they do not belong."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from convert.disk import OutputError, check_space
from convert.final import JOURNAL, partial_path
from edge.errors import UsageError
from tests.unit.convert.mlx.conversion import convert, files_of, settings_of, write_source
from tests.unit.convert.stops import stop_after


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


@pytest.fixture
def expected(source: Path, tmp_path: Path) -> dict[str, str]:
    convert(source, tmp_path / "expected")
    return files_of(tmp_path / "expected")


class Stopped(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("count", [0, 1, 17, 60])
def test_a_stopped_conversion_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, source: Path, expected: dict[str, str], count: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, count, Stopped())
        with pytest.raises(Stopped):
            convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert convert(source, tmp_path / "out") == count
    assert files_of(tmp_path / "out") == expected
    assert not partial_path(tmp_path / "out").exists()


def test_a_piece_whose_bytes_were_lost_is_done_again(tmp_path: Path, source: Path, expected: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 60, Stopped())
        with pytest.raises(Stopped):
            convert(source, tmp_path / "out")
    shard = partial_path(tmp_path / "out") / "model.safetensors"
    content = bytearray(shard.read_bytes())
    content[-150_000:] = bytes(150_000)  # as after a power failure
    shard.write_bytes(content)
    assert 0 < convert(source, tmp_path / "out") < 60
    assert files_of(tmp_path / "out") == expected


def test_a_cut_last_line_of_the_journal_is_ignored(tmp_path: Path, source: Path, expected: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 9, Stopped())
        with pytest.raises(Stopped):
            convert(source, tmp_path / "out")
    journal = partial_path(tmp_path / "out") / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-20])
    assert convert(source, tmp_path / "out") == 8
    assert files_of(tmp_path / "out") == expected


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("count", [1, 40, 150])
def test_a_full_disk_is_one_line_and_the_conversion_goes_on_afterwards(
    tmp_path: Path, source: Path, expected: dict[str, str], count: int, number: int
) -> None:
    pwrite, calls = os.pwrite, iter(range(10**6))

    def full(file: int, data: memoryview, offset: int) -> int:
        if next(calls) >= count:
            raise OSError(number, "No space left on device")
        return pwrite(file, data, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OutputError, match=r"out\.partial: the disk is full\. What is done is kept; make room and"):
            convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    convert(source, tmp_path / "out")
    assert files_of(tmp_path / "out") == expected


def test_too_little_room_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 2_000_000_000))
    check_space(tmp_path / "a" / "b", 2_000_000_000)
    with pytest.raises(OutputError, match=r"18\.26 GB are needed, 2\.00 GB are free\. Make room"):
        check_space(tmp_path / "a" / "b", 18_258_395_680)


@pytest.mark.parametrize(
    ("recipe", "is_searched", "name"), [("3bit", True, "another recipe"), ("4bit", False, "another --no-search")]
)
def test_an_unfinished_folder_of_other_settings_is_refused(
    tmp_path: Path, source: Path, recipe: str, is_searched: bool, name: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 5, Stopped())
        with pytest.raises(Stopped):
            convert(source, tmp_path / "out")
    with pytest.raises(UsageError, match=f"holds an unfinished conversion with {name}. Repeat the command"):
        convert(source, tmp_path / "out", settings_of(recipe, is_searched=is_searched))
    assert convert(source, tmp_path / "out") == 5  # still there


def test_a_source_that_changed_in_between_is_refused(tmp_path: Path, source: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 5, Stopped())
        with pytest.raises(Stopped):
            convert(source, tmp_path / "out")
    os.utime(source / "model-00001-of-00002.safetensors", ns=(1, 1))
    with pytest.raises(UsageError, match="holds an unfinished conversion with another source"):
        convert(source, tmp_path / "out")


def test_two_conversions_do_not_write_to_one_folder(tmp_path: Path, source: Path) -> None:
    folder = partial_path(tmp_path / "out")
    folder.mkdir()
    with (folder / JOURNAL).open("w") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another conversion is writing here"):
            convert(source, tmp_path / "out")


def test_an_unwritable_place_is_one_line(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        convert(source, tmp_path / "file" / "out")
