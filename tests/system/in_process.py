"""Run a program in this process as if in one of its own: its words, streams, environment and log are put in place."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from tests.system.chat_process import Finished

MOST_INPUT_BYTES = 60_000  # what a pipe takes before anybody reads


def run_here(
    program: Callable[[], object], *, words: Sequence[str] = (), stdin: str = "", environment: Mapping[str, str]
) -> Finished:
    """Run to the end with stdin from a pipe; `program` returns its exit code, or ends with SystemExit.

    Args:
        program: What is run.
        words: `sys.argv` behind the program's name.
        stdin: What comes through the pipe.
        environment: Added to this process's.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        _pipe(stdin.encode()) as given,
        patch.dict(os.environ, environment),
        _own_log(),
        patch.multiple(sys, stdin=given, stdout=out, stderr=err, argv=["program", *words]),
    ):
        try:
            code = program()
        except SystemExit as end:
            code = end.code
    return Finished(code if isinstance(code, int) else 0 if code is None else 1, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


@contextmanager
def _pipe(data: bytes) -> Iterator[io.TextIOWrapper]:
    assert len(data) <= MOST_INPUT_BYTES, "more than a pipe holds: run a process"
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    with open(reading, encoding="utf-8") as stream:
        yield stream


@contextmanager
def _own_log() -> Iterator[None]:
    """Let the program set up its log, which pytest has set up already."""
    handlers, level = logging.root.handlers, logging.root.level
    logging.root.handlers = []
    try:
        yield
    finally:
        logging.root.handlers = handlers
        logging.root.setLevel(level)
