"""Say in one line what is wrong with a command line: the parser of every program."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from edge.units import one_line


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors in one line, whatever the words of the command line hold.

    A shell puts file names of others there (`--image *`), and argparse repeats them as they are.
    """

    def error(self, message: str) -> NoReturn:
        """Print what is wrong on stderr and end the program with exit code 2."""
        program = self.prog.removeprefix("python -m ")
        line = f"{program.split()[0]}: {one_line(message)}. See {self.prog} --help."
        encoding = sys.stderr.encoding or "ascii"
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
        raise SystemExit(2)
