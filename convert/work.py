"""Run a conversion, whatever its output: the one line from a source's pieces to a finished output.

In: the source's files, and a `Job` with what is special to a format: files, pieces, encoder, companions. Out: the
output under its final name. Resuming, hashing, streaming, progress, and the checks at the end are the same for all.
Tested by tests/system/test_convert_line.py, with every fault for every output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from convert.crew import Crew, Encoder, Task
from convert.disk import Extent, explain_disk_errors
from convert.final import Final
from convert.partial import Claim, OutputFile, PartialOutput
from convert.progress import Progress
from convert.source import SourceFiles
from edge.errors import SpoiledError


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of work as the line sees it.

    Attributes:
        extents: What it writes, in the order in which the encoder gives it.
        source_bytes: What it reads, for the progress line.
        num_tensors: Tensors that it makes, parts of one as a fraction.
        shards: Names of the files it reads from.
    """

    extents: Sequence[Extent]
    source_bytes: int
    num_tensors: float
    shards: frozenset[str]


@dataclass(frozen=True, slots=True)
class Job:
    """What is special to a format.

    Attributes:
        final: Where the output goes.
        files: The files that steps write to.
        steps: The work, in an order that depends on the key only.
        key: What decides the output's bytes besides the source, readable.
        encoder: Makes the bytes of a step.
        make_crew: Hires who runs the encoder.
        write_companions: Writes the other files into a folder, given the sha256 of the source's weight files; returns
            their names.
    """

    final: Final
    files: Sequence[OutputFile]
    steps: Sequence[Step]
    key: Mapping[str, str]
    encoder: Encoder
    make_crew: Callable[[Task], Crew]
    write_companions: Callable[[Path, Mapping[str, str]], Sequence[str]]


def run_job(job: Job, files: SourceFiles, *, claim: Claim | None = None) -> int:
    """Make an output, or go on with an unfinished one.

    Args:
        job: What to make.
        files: The source's files.
        claim: The unfinished folder, where it is held already.

    Returns:
        How many pieces were kept from an earlier, interrupted run.

    Raises:
        UsageError: The output's place is taken, or holds an unfinished output of other settings.
        WeightError: A weight is no number, or a file of the source is damaged, cut, or has changed meanwhile.
        OutputError: The disk is full or fails.
    """
    steps = job.steps
    progress = Progress(
        total_bytes=sum(step.source_bytes for step in steps), total_items=round(sum(step.num_tensors for step in steps))
    )
    output = PartialOutput(job.final, files=job.files, pieces=[step.extents for step in steps], claim=claim)

    def skip(number: int) -> None:
        progress.skip(steps[number].source_bytes, steps[number].num_tensors)

    key = {"source": files.key(), **job.key}
    with closing(progress), output.opened(key, extra_bytes=files.extra_bytes, on_kept=skip):
        num_kept = len(output.done)
        companions: Sequence[str] = ()
        try:
            hashes = _do_steps(job, files, output, progress)
            with explain_disk_errors(output.path):
                companions = job.write_companions(output.path, hashes)
            files.check_unchanged()
        except SpoiledError:
            output.discard(companions)
            raise
        files.close()
        output.finish(companions)
    return num_kept


def _do_steps(job: Job, files: SourceFiles, output: PartialOutput, progress: Progress) -> Mapping[str, str]:
    """Do what is not done yet, shard by shard where they come one by one; return the source's hashes."""
    steps = job.steps
    needs = {number: step.shards for number, step in enumerate(steps) if number not in output.done}
    task = Task(job.encoder, output.path, [step.extents for step in steps])
    with closing(files.start_hashes()) as hashes, job.make_crew(task) as crew:
        for numbers in files.batches(needs):
            for number, digest in crew.run(numbers):
                hashes.raise_if_failed()
                output.record(number, digest)
                progress.advance(steps[number].source_bytes, steps[number].num_tensors)
        return hashes.result()
