"""The file of `--save`: the messages of a talk or of one answer as they come, one JSON object a line.

In: messages. Out: a `.jsonl` file whose lines are messages (role, content, reasoning_content) with their time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.chat.sessions.folder import append_private
from edge.errors import EdgeError


class Transcript:
    """A file that grows with the talk; it appears with the first message."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, message: Mapping[str, Any]) -> None:  # Any: a JSON message
        """Append a message.

        Raises:
            EdgeError: The file cannot be written.
        """
        line = json.dumps({"time": now(), **message}, ensure_ascii=False, default=_as_data_url)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_private(self.path, line)
        except OSError as error:
            raise EdgeError(
                f"{self.path}: the talk cannot be saved there ({error.strerror}). Use --save FILE."
            ) from error


def now() -> str:
    """Return the time for a line."""
    return datetime.now().isoformat(timespec="seconds")


def _as_data_url(value: object) -> str:
    """Write bytes of a picture as a data URL, and paths as text."""
    if isinstance(value, bytes):
        return "data:application/octet-stream;base64," + base64.b64encode(value).decode()
    return str(value)
