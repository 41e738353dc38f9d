"""Carry out a plan: processes write its pieces into an unfinished output, whose files get their names at the end.

Killed at any point, the same call goes on where it stopped and gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from importlib.metadata import version
from multiprocessing import get_context

from convert.disk import OutputError
from convert.final import FinalFiles
from convert.gguf.plan import Job, Plan
from convert.gguf.work import Task, Worker, run_job, start_worker
from convert.partial import OutputFile, PartialOutput
from convert.pieces import mark_files
from convert.progress import Progress
from edge.weights.folder import Checkpoint


def write_plan(plan: Plan, checkpoint: Checkpoint, *, num_processes: int, is_replacing: bool = False) -> int:
    """Write the files of a plan, or go on with unfinished ones.

    Args:
        plan: From `make_plan`.
        checkpoint: The source it was made for.
        num_processes: Worker processes; 1 works in this one.
        is_replacing: Whether files of these names may be replaced.

    Returns:
        How many pieces were kept from an earlier, interrupted run.

    Raises:
        UsageError: The unfinished files belong to other settings.
        WeightError: A tensor holds inf or NaN.
        OutputError: The disk is full or fails, or a worker was killed.
    """
    files = [OutputFile(file.path.name, file.head, file.num_bytes) for file in plan.files]
    final = FinalFiles(plan.wanted.out, [file.name for file in files], is_replacing=is_replacing)
    output = PartialOutput(final, files=files, pieces=[job.extents for job in plan.jobs])
    progress = Progress(
        total_bytes=sum(job.num_bytes for job in plan.jobs), total_items=sum(len(file.places) for file in plan.files)
    )

    def skip(number: int) -> None:
        progress.skip(plan.jobs[number].num_bytes, plan.jobs[number].num_tensors)

    with closing(progress), output.opened(_make_key(plan, checkpoint), on_kept=skip):
        num_kept = len(output.done)
        task = Task(checkpoint.source.folder, output.path, plan.units, plan.places, plan.importance)
        waiting = [number for number in range(len(plan.jobs)) if number not in output.done]
        digests = _run(task, checkpoint, [plan.jobs[number] for number in waiting], num_processes)
        for number, digest in zip(waiting, digests, strict=True):
            output.record(number, digest)
            progress.advance(plan.jobs[number].num_bytes, plan.jobs[number].num_tensors)
        output.finish()
    return num_kept


def _make_key(plan: Plan, checkpoint: Checkpoint) -> dict[str, str]:
    """Say what decides the files' bytes besides their layout."""
    digest = hashlib.sha256()
    for name in sorted(plan.importance):
        digest.update(name.encode() + plan.importance[name].tobytes())
    return {
        "source": json.dumps(mark_files(file.path for file in checkpoint.source.files)),
        "--type": plan.wanted.file_type.name,
        "--imatrix": digest.hexdigest(),
        "versions": f"qwen3vl-edge {version('qwen3vl-edge')}, libgguf {version('libgguf')}",
    }


def _run(task: Task, checkpoint: Checkpoint, jobs: Sequence[Job], num_processes: int) -> Iterator[str]:
    """Do the jobs; yield the hash of what each wrote, in order."""
    if num_processes == 1 or len(jobs) < 2:
        with closing(Worker(task, checkpoint)) as worker:
            yield from map(worker.run, jobs)
        return
    pool = ProcessPoolExecutor(
        num_processes, mp_context=get_context("spawn"), initializer=start_worker, initargs=(task,)
    )
    # Workers inherit the mask: a Ctrl-C is for this process, which lets them finish their job.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        try:
            digests = pool.map(run_job, jobs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield from digests
    except BrokenProcessPool:
        raise OutputError(
            "A worker process ended (killed, or out of memory). Run the same command again, it goes on; "
            "--processes 1 needs the least memory."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
