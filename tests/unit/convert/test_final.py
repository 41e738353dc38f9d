"""The last step: whatever fails or is killed in it leaves an output that the same command takes up."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from convert.disk import Extent, OpenFiles, OutputError
from convert.final import JOURNAL, Final, FinalFiles, FinalFolder, partial_path
from convert.partial import OutputFile, PartialOutput
from edge.errors import UsageError

NAMES = ("a.bin", "b.bin")
FILES = [OutputFile(name, b"head", 8) for name in NAMES]
PIECES = [[Extent(name, 4, 8)] for name in NAMES]


class Stopped(BaseException):
    """Stands for a kill."""


def folder(out: Path) -> Final:
    return FinalFolder(out)


def files(out: Path) -> Final:
    return FinalFiles(out, NAMES)


def produce(final: Final, *, before_end: Callable[[], object] = lambda: None) -> int:
    """Make the two files; return how many pieces were there already."""
    output = PartialOutput(final, files=FILES, pieces=PIECES)
    with output.opened({"source": "s"}):
        num_kept = len(output.done)
        opened = OpenFiles(output.path, NAMES)  # as a crew does
        for number in range(len(PIECES)):
            if number not in output.done:
                output.record(number, opened.write(PIECES[number], [memoryview(b"data")]))
        opened.close()
        before_end()
        output.finish()
    return num_kept


def results(final: Final) -> dict[str, bytes]:
    place = final.out if isinstance(final, FinalFolder) else final.out.parent
    return {path.name: path.read_bytes() for path in place.iterdir() if path.name != "moved_away"}


EXPECTED = dict.fromkeys(NAMES, b"headdata")


@pytest.mark.parametrize("make", [folder, files])
def test_the_output_has_its_name_and_nothing_is_left(make: Callable[[Path], Final], tmp_path: Path) -> None:
    final = make(tmp_path / "out")
    assert produce(final) == 0
    assert results(final) == EXPECTED
    assert not partial_path(tmp_path / "out").exists()


@pytest.mark.parametrize("make", [folder, files])
@pytest.mark.parametrize("call", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["rename", "replace", "unlink", "rmdir"])
def test_a_kill_at_any_call_of_the_last_step_is_taken_up(
    make: Callable[[Path], Final], name: str, call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = getattr(os, name), iter(range(100))

    def stopping(*places: object, **options: object) -> object:
        if next(calls) == call:
            raise Stopped
        return real(*places, **options)

    monkeypatch.setattr(os, name, stopping)
    final = make(tmp_path / "out")
    try:
        produce(final)
    except Stopped:
        monkeypatch.undo()
        if name != "rmdir":  # then all is done, and an empty folder is left
            assert produce(final) == len(PIECES)
    partial = partial_path(tmp_path / "out")
    assert not partial.exists() or (name == "rmdir" and not any(partial.iterdir()))
    partial.rmdir() if partial.exists() else None
    assert results(final) == EXPECTED


def take_by_file(out: Path) -> None:
    out.write_text("mine")


def take_by_link(out: Path) -> None:
    out.symlink_to("nowhere")


def take_by_full_folder(out: Path) -> None:
    out.mkdir()
    (out / "mine").write_text("mine")


@pytest.mark.parametrize("take", [take_by_file, take_by_link, take_by_full_folder])
@pytest.mark.parametrize("make", [folder, files])
def test_a_name_taken_meanwhile_loses_no_work(
    make: Callable[[Path], Final], take: Callable[[Path], None], tmp_path: Path
) -> None:
    final = make(tmp_path / "out")
    taken = tmp_path / ("out" if make is folder else "a.bin")
    with pytest.raises(OutputError, match=r"verything is kept in .*out\.partial"):
        produce(final, before_end=lambda: take(taken))
    taken.rename(tmp_path / "moved_away")
    assert produce(final) == len(PIECES)
    assert {name: results(final)[name] for name in NAMES} == EXPECTED


@pytest.mark.parametrize("take", [take_by_file, take_by_link, take_by_full_folder])
def test_a_taken_name_is_refused_before_the_work(take: Callable[[Path], None], tmp_path: Path) -> None:
    take(tmp_path / "out")
    with pytest.raises(UsageError, match=r"out (exists|is a link)\. Choose another OUT"):
        produce(FinalFolder(tmp_path / "out"))
    take(tmp_path / "b.bin")
    with pytest.raises(UsageError, match=r"b\.bin (exists|is a link)"):
        produce(FinalFiles(tmp_path / "other", NAMES))
    assert not list(tmp_path.glob("*.partial"))


def test_an_equal_file_is_reused_and_another_one_is_kept(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(b"headdata")
    before = (tmp_path / "b.bin").stat().st_ino
    final = FinalFiles(tmp_path / "out", NAMES, reusable=("b.bin",))
    produce(final)
    assert final.reused == [tmp_path / "b.bin"]
    assert (tmp_path / "b.bin").stat().st_ino == before
    assert results(final) == EXPECTED
    (tmp_path / "a.bin").unlink()
    (tmp_path / "b.bin").write_bytes(b"headDATA")
    with pytest.raises(OutputError, match=r"b\.bin exists and differs from what this conversion makes"):
        produce(FinalFiles(tmp_path / "out", NAMES, reusable=("b.bin",)))
    assert (tmp_path / "b.bin").read_bytes() == b"headDATA"


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {JOURNAL: '{"time": 1}\n'}, {JOURNAL: "", "notes": "x"}])
@pytest.mark.parametrize("make", [folder, files])
def test_a_folder_of_the_users_under_the_unfinished_name_is_left_alone(
    make: Callable[[Path], Final], content: dict[str, str], tmp_path: Path
) -> None:
    partial = partial_path(tmp_path / "out")
    partial.mkdir()
    for name, text in content.items():
        (partial / name).write_text(text)
    with pytest.raises(UsageError, match=r"out\.partial: expected an unfinished conversion under this name"):
        produce(make(tmp_path / "out"))
    assert {path.name: path.read_text() for path in partial.iterdir()} == content


def test_a_link_or_a_pipe_under_the_unfinished_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    partial_path(tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="expected an unfinished conversion"):
        produce(FinalFolder(tmp_path / "out"))
    partial_path(tmp_path / "out").unlink()
    partial_path(tmp_path / "out").mkdir()
    os.mkfifo(partial_path(tmp_path / "out") / JOURNAL)
    with pytest.raises(UsageError, match="expected an unfinished conversion"):
        produce(FinalFolder(tmp_path / "out"))


def test_what_the_user_put_beside_the_unfinished_files_is_never_deleted(tmp_path: Path) -> None:
    notes = partial_path(tmp_path / "out") / "notes.txt"
    produce(FinalFiles(tmp_path / "out", NAMES), before_end=lambda: notes.write_text("mine"))
    assert notes.read_text() == "mine"
    assert (tmp_path / "a.bin").read_bytes() == b"headdata"


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"piece": 99, "sha256": "x"}', b'{"piece": "0"}', b"[" * 3000]
)
def test_a_bad_later_line_costs_its_piece_only(line: bytes, tmp_path: Path) -> None:
    final = FinalFolder(tmp_path / "out")

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        produce(final, before_end=stop)
    journal = partial_path(tmp_path / "out") / JOURNAL
    first, one, two = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join((first, line, two)) + b"\n")
    assert one != two
    assert produce(final) == 1
    assert results(final) == EXPECTED
