"""Threads and processes write the same bytes, give back errors, and end with their block."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import pytest

from convert.crew import Crew, Processes, Task, Threads
from convert.disk import Extent, OutputError
from edge.checkpoint.names.ops import Fp8Blocks
from edge.errors import WeightError


@dataclass(frozen=True)
class Encoder:
    """Writes its numbers; fails, ends its process or sleeps where it is told to."""

    wrong: int = -1
    deadly: int = -1
    slow: int = -1

    def encode(self, number: int) -> Iterator[memoryview]:
        if number == self.wrong:
            raise WeightError("the shard is damaged")
        if number == self.deadly:
            os._exit(1)
        if number == self.slow:
            time.sleep(60)
        yield memoryview(bytes([number]) * 4)


def threads(task: Task) -> Crew:
    return Threads(task, count=2)


def processes(task: Task) -> Crew:
    return Processes(task, count=2)


every_crew = pytest.mark.parametrize("make", [threads, processes])


def task_of(folder: Path, encoder: Encoder) -> Task:
    return Task(encoder, folder, [[Extent("file", 4 * number, 4 * number + 4)] for number in range(9)])


@every_crew
def test_every_piece_is_written_at_its_place_in_any_order(make: Callable[[Task], Crew], tmp_path: Path) -> None:
    with make(task_of(tmp_path, Encoder())) as crew:
        done = dict(crew.run([8, 1, 2, 3])) | dict(crew.run([0, 4, 5, 6, 7]))
    assert sorted(done) == list(range(9))
    assert (tmp_path / "file").read_bytes() == b"".join(bytes([number]) * 4 for number in range(9))


@every_crew
def test_an_error_comes_back_as_it_is(make: Callable[[Task], Crew], tmp_path: Path) -> None:
    with pytest.raises(WeightError, match="the shard is damaged"), make(task_of(tmp_path, Encoder(wrong=3))) as crew:
        list(crew.run(range(9)))


def test_a_worker_that_ends_is_one_line(tmp_path: Path) -> None:
    task = task_of(tmp_path, Encoder(deadly=3))
    with pytest.raises(OutputError, match="A worker process ended"), Processes(task, count=2) as crew:
        list(crew.run(range(9)))


def test_a_worker_in_the_middle_of_a_piece_is_not_waited_for(tmp_path: Path) -> None:
    start_s = time.monotonic()
    with pytest.raises(WeightError), Processes(task_of(tmp_path, Encoder(slow=0, wrong=1)), count=2) as crew:
        list(crew.run(range(9)))
    assert time.monotonic() - start_s < 30  # it sleeps for 60 s


def test_operations_with_a_dtype_can_be_sent() -> None:
    for dtype in (mx.bfloat16, mx.float32):
        op = Fp8Blocks((16, 24), dtype)
        assert pickle.loads(pickle.dumps(op)) == op
