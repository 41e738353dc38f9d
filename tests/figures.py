"""Note figures that tests and measuring programs find, for docs/measured.md.

`python -m tests.measured` runs them with EDGE_FIGURES set; without it nothing is written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


def note_figure(name: str, value: float) -> float:
    """Append one figure to the file that EDGE_FIGURES names, with the test it comes from; returns the value."""
    if file := os.environ.get("EDGE_FIGURES"):
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"name": name, "value": value, "test": test}) + "\n")
    return value
