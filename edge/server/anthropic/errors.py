"""Write errors down as Anthropic's clients expect them."""

from __future__ import annotations

from typing import Any

from edge.server.anthropic.threads import NOT_FOUND
from edge.server.errors import ApiError, Kind
from edge.server.log import REQUEST_ID

TYPES: dict[Kind, str] = {
    "invalid_request": "invalid_request_error",
    "context_length": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "timeout": "timeout_error",
    "rate_limit": "rate_limit_error",
    "internal": "api_error",
    "not_supported": "invalid_request_error",
    "overloaded": "overloaded_error",
}


def error_body(error: ApiError) -> dict[str, Any]:  # Any: JSON
    """Return `{"type": "error", "error": {type, message}, "request_id"}`."""
    kind = "request_too_large" if error.status == 413 else TYPES[error.kind]
    details = {"details": {"error_code": error.code}} if error.code == NOT_FOUND else {}
    return {
        "type": "error",
        "error": {"type": kind, "message": error.message, **details},
        "request_id": REQUEST_ID.get(),
    }
