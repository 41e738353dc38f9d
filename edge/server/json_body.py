"""Write an answer in JSON, whatever text is in it.

JSON can spell half a character (a lone surrogate), in arguments of calls and in what clients send; UTF-8 cannot write
it. Here it becomes a question mark instead of a fault.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response


class JsonBody(Response):
    """A JSON response."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # Any: JSON
        """Write the body."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")
