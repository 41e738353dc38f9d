"""One line for every output: the same faults have the same verdicts and bytes for MLX, GGUF and repack."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from convert.final import JOURNAL, partial_path
from edge.checkpoint.files.gguf import open_gguf
from edge.checkpoint.files.shards import SafetensorsFile
from tests.system.convert_lines import (
    GGUF,
    MLX,
    REPACK,
    Line,
    assert_nothing_is_there,
    at_piece,
    cut,
    rewrite,
    run,
)

every_line = pytest.mark.parametrize("line", [MLX, GGUF, REPACK], ids=lambda line: line.name)


@pytest.fixture(scope="module")
def expected(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    found = {}
    for line in (MLX, GGUF, REPACK):
        place = tmp_path_factory.mktemp(line.name)
        assert run(line, sound, place) == (0, "")
        found[line.name] = line.files(place)
    assert all(len(files) > 3 for files in found.values())
    return found


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def write_nan(path: Path) -> None:
    """Write a number that is none: into a float of the tensors, or into the scale of a block."""
    if path.suffix == ".gguf":
        tensor = next(tensor for tensor in open_gguf(path).tensors.values() if tensor.type.name == "Q8_0")
        start, wrong = tensor.start, b"\x00\x7e"
    else:
        info = next(iter(SafetensorsFile(path).tensors.values()))
        start, wrong = info.start, {"F32": b"\0\0\xc0\x7f", "BF16": b"\xc0\x7f"}[info.dtype]
    with path.open("r+b") as file:
        file.seek(start)
        file.write(wrong)


@every_line
@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: flip(path, -1000), "damaged or altered, expected sha256"),
        (lambda path: flip(path, 2), "Download"),
        (cut, "truncated"),
        (lambda path: os.truncate(path, 0), "Download the file again"),
        (lambda path: path.unlink(), "missing|no such file"),
    ],
    ids=["flipped", "header", "cut", "empty", "removed"],
)
def test_a_damaged_file_is_refused_and_nothing_is_left(
    line: Line, harm: Callable[[Path], object], message: str, source: Path, place: Path
) -> None:
    harm(source / line.weights)
    code, shown = run(line, source, place)
    assert code == 1
    assert any(part in shown for part in message.split("|"))
    assert_nothing_is_there(line, place)


@every_line
def test_a_number_that_is_none_is_refused_and_nothing_is_left(line: Line, source: Path, place: Path) -> None:
    (source / "SHA256SUMS").unlink()
    write_nan(source / line.weights)
    code, shown = run(line, source, place)
    assert code == 1
    assert "values that are infinite or no number" in shown
    assert_nothing_is_there(line, place)


def replace_keeping_times(path: Path) -> None:
    status = path.stat()
    flip(path, -1000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@every_line
@pytest.mark.parametrize(
    ("harm", "messages"),
    [
        (rewrite, ("changed while it was converted",)),
        (replace_keeping_times, ("changed while it was converted",)),
        (cut, ("truncated while it was read", "changed while it was converted")),
        (lambda path: path.unlink(), ("changed while it was converted", "No such file", "cannot be read")),
    ],
    ids=["rewritten", "same times", "cut", "removed"],
)
def test_a_file_that_changes_while_it_is_converted_gives_no_mixed_output(
    line: Line,
    harm: Callable[[Path], object],
    messages: tuple[str, ...],
    source: Path,
    place: Path,
    expected: dict[str, dict[str, str]],
    sound: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (source / "SHA256SUMS").unlink()
    at_piece(3, lambda: harm(source / line.weights), monkeypatch)
    code, shown = run(line, source, place)
    assert code == 1
    assert any(message in shown for message in messages)
    assert line.files(place) == {}
    monkeypatch.undo()
    shutil.rmtree(partial_path(line.out(place)), ignore_errors=True)
    shutil.copy(sound / line.weights, source / line.weights)
    assert run(line, source, place) == (0, "")
    assert line.files(place) == expected[line.name]


@every_line
def test_a_full_disk_keeps_what_is_done(
    line: Line, sound: Path, place: Path, expected: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, calls = os.pwrite, iter(range(10**6))

    def full(file: int, data: memoryview, offset: int) -> int:
        if next(calls) >= 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    code, shown = run(line, sound, place)
    monkeypatch.undo()
    assert (code, shown) == (
        1,
        f"convert: {partial_path(line.out(place))}: the disk is full. What is done is kept; make room and run the same "
        "command again to go on.\n",
    )
    assert run(line, sound, place) == (0, "")
    assert line.files(place) == expected[line.name]


def take_by_file(out: Path) -> None:
    out.write_text("mine")


def take_by_link(out: Path) -> None:
    out.symlink_to("nowhere")


@every_line
@pytest.mark.parametrize("take", [take_by_file, take_by_link])
def test_a_name_that_is_taken_is_refused_at_once_and_costs_nothing_later(
    line: Line,
    take: Callable[[Path], None],
    sound: Path,
    place: Path,
    expected: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = line.out(place)
    take(out)
    assert run(line, sound, place)[0] == 2
    out.unlink()
    at_piece(5, lambda: take(out), monkeypatch)
    code, shown = run(line, sound, place)
    assert code == 1
    assert f"verything is kept in {partial_path(out)}" in shown
    monkeypatch.undo()
    out.unlink()
    assert run(line, sound, place) == (0, "")
    assert line.files(place) == expected[line.name]


@every_line
def test_a_folder_of_the_users_is_left_alone(line: Line, sound: Path, place: Path) -> None:
    partial = partial_path(line.out(place))
    partial.mkdir()
    (partial / "thesis.txt").write_text("mine")
    code, shown = run(line, sound, place)
    assert code == 2
    assert "expected an unfinished conversion under this name" in shown
    assert (partial / "thesis.txt").read_text() == "mine"
    assert not line.out(place).exists()


@every_line
def test_a_pipe_in_the_place_of_a_file_does_not_hang(line: Line, source: Path, place: Path) -> None:
    (source / line.weights).unlink()
    os.mkfifo(source / line.weights)
    assert run(line, source, place)[0] == 1
    assert_nothing_is_there(line, place)


@pytest.mark.parametrize("line", [MLX, GGUF], ids=lambda line: line.name)
def test_a_packed_source_is_refused_unless_it_is_asked_for(line: Line, sound: Path, place: Path) -> None:
    assert run(MLX, sound, place) == (0, "")
    packed = place.parent / "packed"
    (place / "out").rename(packed)
    code, shown = run(line, packed, place)
    assert code == 2
    assert "packed already (8 bits)" in shown
    assert_nothing_is_there(line, place)
    asked = Line(line.name, (*line.options, "--from-packed"), line.out_name, line.weights)
    assert run(asked, packed, place) == (0, "")


def command(line: Line, source: Path, place: Path) -> list[str]:
    """Return the command of a process; GGUF in two workers."""
    words = line.words(source, place)
    return [sys.executable, "-m", "convert", *("2" if word == "1" else word for word in words)]


def started(line: Line, source: Path, place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(line, source, place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@every_line
def test_two_interrupts_end_it_at_once_and_it_goes_on(
    line: Line, sound: Path, place: Path, expected: dict[str, dict[str, str]]
) -> None:
    out = line.out(place)
    process = started(line, sound, place)
    journal = partial_path(out) / JOURNAL
    while process.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.002)
    for _ in range(2):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130, error
    assert error.strip() == f"Interrupted. What is done is kept in {out}.partial; run the same command again to go on."
    assert run(line, sound, place) == (0, "")
    assert line.files(place) == expected[line.name]


@pytest.mark.long
@every_line
def test_30_kills_at_random_moments_and_a_run_give_the_same_bytes(
    line: Line, sound: Path, place: Path, expected: dict[str, dict[str, str]]
) -> None:
    start_s = time.monotonic()
    process = started(line, sound, place)
    _, error = process.communicate()
    assert process.returncode == 0, error
    whole_s = time.monotonic() - start_s
    least_s = 0.5 * whole_s
    moments = random.Random(line.name)
    kills = tries = 0
    while kills < 30 and tries < 90:
        tries += 1
        for path in place.iterdir():
            shutil.rmtree(path) if path.is_dir() and path == line.out(place) else None
        if not partial_path(line.out(place)).exists():
            shutil.rmtree(place)
            place.mkdir()
        process = started(line, sound, place)
        time.sleep(moments.uniform(0.2, 1.0) * whole_s)
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
        else:
            # It ended before, with little left to do, or on a machine less busy than when the time was taken.
            whole_s = max(least_s, 0.9 * whole_s)
    code, shown = run(line, sound, place)
    assert code == 0 or (code == 2 and "exists" in shown)  # the last one may have come after the end
    assert kills == 30
    assert line.files(place) == expected[line.name]
    assert not partial_path(line.out(place)).exists()
