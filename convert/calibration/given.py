"""Open the calibration that the command line of a converter names, and refuse one of another model."""

from __future__ import annotations

import argparse
from pathlib import Path

from convert.calibration.file import Calibration
from convert.source import Source


def given_calibration(arguments: argparse.Namespace, source: Source, *, has_weights: bool = True) -> Calibration | None:
    """Open what --calibration names.

    Args:
        arguments: Of the command line.
        source: What is converted.
        has_weights: Whether the source's weights can be read, to tell its model from another of the same sizes.

    Returns:
        The calibration; None where none is named.

    Raises:
        ConfigError: It is none.
        UsageError: It is of another model.
    """
    if arguments.calibration is None:
        return None
    path: Path = arguments.calibration
    found = Calibration.open(path)
    if has_weights:
        found.model.check(source.checkpoint, source.files.identity, where=path)
    return found
