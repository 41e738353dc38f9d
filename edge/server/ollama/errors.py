"""Write errors down as Ollama's clients expect them: one text under `error`."""

from __future__ import annotations

from edge.server.errors import ApiError


def error_body(error: ApiError) -> dict[str, str]:
    """Return `{"error": text}`; clients show anything else than text raw."""
    return {"error": error.message}
