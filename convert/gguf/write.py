"""Carry out a plan: several processes write into partial files, a journal remembers what is done, the end renames.

Killed at any point, the same call goes on where it stopped and gives the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from convert.gguf.imatrix import Importance
from convert.gguf.plan import Job, Plan
from convert.gguf.work import PARTIAL, Task, Worker, run_job, start_worker
from edge.errors import WeightError
from edge.weights.folder import Checkpoint

JOURNAL = ".journal"
OnDone = Callable[[int], None]


def write_plan(
    plan: Plan,
    checkpoint: Checkpoint,
    folder: Path,
    *,
    importance: Importance,
    num_processes: int,
    on_done: OnDone = lambda num_bytes: None,
) -> list[Path]:
    """Write the files of a plan.

    Args:
        plan: From `make_plan`.
        checkpoint: The source it was made for.
        folder: The source's folder.
        importance: Weights of inputs by tensor, perhaps empty.
        num_processes: Worker processes; 1 works in this one.
        on_done: Called with the bytes of each finished piece (of those done by an earlier run, too).

    Returns:
        The finished files.

    Raises:
        WeightError: The disk is full, or a tensor cannot be written.
    """
    journal = Journal(plan.files[0].path, _fingerprint(plan, checkpoint, importance))
    try:
        done = _prepare(plan, journal)
        on_done(sum(job.num_bytes for job in plan.jobs if _key(job) in done))
        waiting = [job for job in plan.jobs if _key(job) not in done]
        task = Task(folder, plan.units, plan.places, importance)
        for job in _run(task, checkpoint, waiting, num_processes):
            journal.add(_key(job))
            on_done(job.num_bytes)
        for file in plan.files:
            _finish(file.path)
    except OSError as error:
        raise _explain(error, plan.files[0].path) from None
    finally:
        journal.close()
    journal.remove()
    return [file.path for file in plan.files]


class Journal:
    """Which pieces are done, kept beside the partial files."""

    def __init__(self, out: Path, fingerprint: str) -> None:
        """Name the journal; nothing is read or written yet."""
        self._path = out.with_name(out.name + JOURNAL)
        self._fingerprint = fingerprint
        self._descriptor: int | None = None

    def read(self) -> set[str]:
        """Return the pieces an earlier run of the same plan finished."""
        try:
            lines = self._path.read_text().split("\n")[:-1]  # a cut last line has no end
        except (OSError, UnicodeDecodeError):
            return set()
        return set(lines[1:]) if lines and lines[0] == self._fingerprint else set()

    def start(self, done: set[str]) -> None:
        """Begin to write, keeping what is done."""
        text = "".join(f"{line}\n" for line in [self._fingerprint, *sorted(done)])
        self._path.write_text(text)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def add(self, key: str) -> None:
        """Remember a finished piece."""
        assert self._descriptor is not None, "start comes first"
        os.write(self._descriptor, f"{key}\n".encode())

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Forget everything: the files are complete."""
        self._path.unlink(missing_ok=True)


def _prepare(plan: Plan, journal: Journal) -> set[str]:
    """Make partial files with their heads, or find those of an earlier run."""
    done = journal.read()
    partials = [(file, _partial(file.path)) for file in plan.files]
    is_resumed = bool(done) and all(path.is_file() and path.stat().st_size == file.num_bytes for file, path in partials)
    if not is_resumed:
        done = set()
        _check_space(plan, [path for _, path in partials])
        plan.files[0].path.parent.mkdir(parents=True, exist_ok=True)
        for file, path in partials:
            with path.open("wb") as handle:
                handle.write(file.head)
                handle.truncate(file.num_bytes)
    journal.start(done)
    return done


def _run(task: Task, checkpoint: Checkpoint, jobs: Sequence[Job], num_processes: int) -> Iterator[Job]:
    if num_processes == 1 or len(jobs) < 2:
        worker = Worker(task, checkpoint)
        try:
            yield from map(worker.run, jobs)
        finally:
            worker.close()
        return
    pool = ProcessPoolExecutor(
        num_processes, mp_context=get_context("spawn"), initializer=start_worker, initargs=(task,)
    )
    try:
        yield from pool.map(run_job, jobs)
    except BrokenProcessPool:
        raise WeightError(
            "A worker process ended (killed, or out of memory). Run the same command again, it goes on; "
            "--processes 1 needs the least memory."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _finish(path: Path) -> None:
    partial = _partial(path)
    with partial.open("rb+") as handle:
        os.fsync(handle.fileno())
    partial.replace(path)


def _fingerprint(plan: Plan, checkpoint: Checkpoint, importance: Importance) -> str:
    """Identify what the bytes depend on: heads, cuts, importance, and the source's files by size and time."""
    digest = hashlib.sha256()
    for file in plan.files:
        digest.update(file.head)
    for name in sorted(importance):
        digest.update(name.encode() + importance[name].tobytes())
    sources = sorted(
        (str(file.path), file.path.stat().st_size, file.path.stat().st_mtime_ns) for file in checkpoint.source.files
    )
    digest.update(json.dumps([sources, [_key(job) for job in plan.jobs]]).encode())
    return digest.hexdigest()


def _check_space(plan: Plan, partials: Sequence[Path]) -> None:
    folder = next(parent for parent in plan.files[0].path.absolute().parents if parent.exists())
    reused = sum(path.stat().st_size for path in partials if path.is_file())
    free = shutil.disk_usage(folder).free + reused
    if plan.num_bytes > free:
        raise WeightError(
            f"{folder}: the files need {plan.num_bytes / 1e9:.1f} GB, free are {free / 1e9:.1f} GB. "
            "Make room, or choose a smaller --type."
        )


def _explain(error: OSError, out: Path) -> WeightError:
    if error.errno == errno.ENOSPC:
        return WeightError(f"{out}: the disk is full. Make room and run the same command again, it goes on.")
    return WeightError(f"{out}: cannot be written ({error.strerror}). Check folder and disk.")


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def _key(job: Job) -> str:
    return f"{job.unit} {job.start} {job.stop}"
