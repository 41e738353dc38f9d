"""What every program writes for people besides its results: what is wrong with a command line, and notes.

The words of others (file names that a shell put there, names in checkpoints) reach the terminal only through here, in
one line that does nothing to it.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from typing import NoReturn

from edge.units import one_line

# argparse's words for a value that is not of an option's type.
_WRONG_TYPE = re.compile(r"argument (?P<option>\S+): invalid (?P<type>int|float) value: (?P<value>.*)", re.S)
_MOST_OF_A_NAME = 120
_KINDS = {"int": "a whole number", "float": "a number"}


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors in one line, whatever the words of the command line hold."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong on stderr and end the program with exit code 2."""
        if wrong := _WRONG_TYPE.fullmatch(message):
            message = f"{wrong['option']}: expected {_KINDS[wrong['type']]}, found {wrong['value']}"
        program = self.prog.removeprefix("python -m ")
        _print_line(f"{program.split()[0]}: {one_line(message)}. See {self.prog} --help.")
        raise SystemExit(2)


def end_of_pipe() -> int:
    """Take leave of a reader of stdout that has gone, as in `... | head`, and return the exit code.

    Python flushes stdout once more when it ends, and would complain; what is left goes nowhere instead.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def file_failure(error: OSError) -> str:
    """Say which file the system refused, and why, in one line: no fault of a program."""
    if not error.strerror:
        return one_line(f"{type(error).__name__}: {error}")
    if error.filename is None:
        return f"{error.strerror}."
    name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
    return f"{one_line(name, max_characters=_MOST_OF_A_NAME)}: {error.strerror}."


def write_notes(program: str) -> None:
    """Write the library's warnings as notes on stderr; `main` of a program without a screen calls it once.

    Args:
        program: Its name.
    """
    logging.basicConfig(handlers=[_Notes(program)], level=logging.WARNING)


class _Notes(logging.Handler):
    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        _print_line(f"{self._program}: note: {one_line(record.getMessage())}")


def _print_line(line: str) -> None:
    if sys.stderr is None:  # closed by whoever started the program
        return
    encoding = sys.stderr.encoding or "ascii"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
