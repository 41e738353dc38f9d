"""Write errors down as OpenAI's clients expect them."""

from __future__ import annotations

from typing import Any

from edge.server.errors import ApiError, Kind

TYPES: dict[Kind, str] = {
    "invalid_request": "invalid_request_error",
    "context_length": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "timeout": "timeout_error",
    "rate_limit": "rate_limit_error",
    "internal": "server_error",
    "not_supported": "not_supported_error",
    "overloaded": "unavailable_error",
}


def error_body(error: ApiError) -> dict[str, Any]:  # Any: JSON
    """Return `{"error": {message, type, param, code}}`."""
    return {
        "error": {"message": error.message, "type": TYPES[error.kind], "param": error.param, "code": error.code},
    }
