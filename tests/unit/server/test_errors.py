from __future__ import annotations

import pytest

from edge.errors import (
    ConfigError,
    ContextLengthError,
    EdgeError,
    MediaError,
    MemoryPlanError,
    PromptError,
    RequestError,
)
from edge.server.errors import ApiError, to_api_error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RequestError("x", field="top_p"), 400, None),
        (PromptError("x"), 400, None),
        (ContextLengthError("x"), 400, "context_length_exceeded"),
        (MediaError("x"), 400, "invalid_media"),
        (MemoryPlanError("x"), 400, "insufficient_memory"),
        (ConfigError("x"), 500, "model_broken"),
        (EdgeError("closed"), 503, "model_closed"),
        (ValueError("/secret/path"), 500, "internal_error"),
    ],
)
def test_errors_of_the_engine_have_their_status(error: Exception, status: int, code: str | None) -> None:
    found = to_api_error(error)
    assert (found.status, found.code) == (status, code)
    assert "secret" not in found.message


def test_clients_are_told_whether_to_try_again() -> None:
    assert ApiError("invalid_request", "x").headers == {"x-should-retry": "false"}
    assert ApiError("rate_limit", "x", retry_s=0.2).headers == {"retry-after": "1"}


def test_the_wrong_field_is_named() -> None:
    assert to_api_error(RequestError("x", field="top_p")).param == "top_p"
