"""Open the calibration that the command line of a converter names, and refuse one of another model."""

from __future__ import annotations

from pathlib import Path

from convert.calibration.file import Calibration
from convert.source import Identity
from edge.checkpoint.folder import Checkpoint


def given_calibration(
    path: Path | None,
    checkpoint: Checkpoint,
    identity: Identity,
    *,
    has_weights: bool = True,
    is_plan: bool = False,
) -> Calibration | None:
    """Open what --calibration names.

    Args:
        path: Its folder; None where none is named.
        checkpoint: What is converted.
        identity: Its name, for the message.
        has_weights: Whether its weights can be read, to tell its model from another of the same sizes. Where they
            come one after another, only the hub commit tells.
        is_plan: Nothing is written, so that sizes are enough where there are no weights.

    Returns:
        The calibration; None where none is named.

    Raises:
        ConfigError: It is none.
        UsageError: It is of another model.
    """
    if path is None:
        return None
    found = Calibration.open(path)
    if has_weights:
        found.model.check(checkpoint, identity, where=path)
    else:
        found.model.check_sizes(checkpoint, identity, where=path)
        if not is_plan:
            found.model.check_revision(identity, where=path)
    return found
