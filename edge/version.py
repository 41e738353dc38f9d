"""Say which version this is, for `--version` of every program; nothing is looked up before it is asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

PACKAGE = "qwen3vl-edge"


def describe_version() -> str:
    """Return this package's version and those of what computes, in one line, as a report of a fault needs them."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{PACKAGE} {version_of(PACKAGE)}, mlx {version_of('mlx')}, Python {python} on {sys.platform}"


def add_version_argument(parser: argparse.ArgumentParser) -> None:
    """Add --version to a program."""
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and exit")


def version_of(package: str) -> str:
    """Return the version of an installed package, or that it is not installed."""
    from importlib import metadata  # 35 modules that only --version needs

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


class _ShowVersion(argparse.Action):
    """Print the version and end the program."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,  # Any: argparse's own type of values
        option_string: str | None = None,
    ) -> None:
        print(describe_version())
        parser.exit()
