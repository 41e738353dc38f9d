"""Measure what needs a process or an engine of its own: the first token from the command on, and restored turns."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.bench.asking import Asking
from edge.bench.figures import Figure, figure_of
from edge.conversation import user_message
from edge.errors import EdgeError
from edge.limits import EngineLimits

COLD = """\
import sys
import edge

with edge.load(sys.argv[1] or None, projector=sys.argv[2] or None) as engine:
    images = [sys.argv[3]] if sys.argv[3] else []
    request = edge.Request(messages=[edge.user_message("What is this?", images=images)], max_tokens=16)
    for event in engine.stream(request):
        if isinstance(event, (edge.TextEvent, edge.ReasoningEvent)):
            print("first", flush=True)
            break
"""
_MOST_S = 1800.0


def cold_figures(model: str | None, projector: Path | None, picture: Path | None, repeats: int) -> Iterator[Figure]:
    """Start Python, load the checkpoint and answer: seconds from the start to the first piece of the answer.

    Raises:
        EdgeError: The process gave no answer.
    """
    for image in [None, picture] if picture else [None]:
        runs = [_cold_s(model, projector, image) for _ in range(repeats)]
        yield figure_of("first token, cold", runs, "s", picture="yes" if image else "no")


def restore_figures(model: str | None, projector: Path | None, num_tokens: int, repeats: int) -> Iterator[Figure]:
    """Keep a turn on disk, load the checkpoint again, and go on: seconds to the first token."""
    from edge.loading import load

    waits, reused = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            limits = EngineLimits(keep_folder=Path(folder))
            with load(model, projector=projector, limits=limits) as engine:
                asking = Asking(engine)
                messages = asking.prompt(num_tokens)
                answer = asking.stream(messages, 2).answer()
            more = [*messages, {"role": "assistant", "content": answer.text}, user_message("And then?")]
            with load(model, projector=projector, limits=limits) as engine:
                usage = Asking(engine).run(more, 2)
        waits.append(usage.first_token_s)
        reused.append(100 * usage.cached_tokens / usage.prompt_tokens)
    yield figure_of("restored from disk", waits, "s", tokens=num_tokens)
    yield figure_of("restored, reused", reused, "%", tokens=num_tokens)


def _cold_s(model: str | None, projector: Path | None, picture: Path | None) -> float:
    command = [sys.executable, "-c", COLD, model or "", str(projector or ""), str(picture or "")]
    return first_line_s(command)


def first_line_s(command: Sequence[str]) -> float:
    """Start a program; return the seconds to its first line.

    Raises:
        EdgeError: It ended without one; its last words are told.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it is a pipe"
        line, taken = process.stdout.readline(), time.perf_counter() - started
        try:
            _, said = process.communicate(timeout=_MOST_S)
        except BaseException:
            process.kill()
            raise
    if not line:
        last = (said.strip().splitlines() or ["nothing"])[-1]
        raise EdgeError(f"The first token of a new process: expected an answer, the process ended and said {last!r}.")
    return taken
