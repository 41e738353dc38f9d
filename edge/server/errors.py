"""What can go wrong with a request, apart from how a protocol writes it down.

In: errors of the engine and of the server's own checks. Out: `ApiError`s, which each protocol renders in its own shape
(`Protocol.error_body`). `kind` is one of a few words that every protocol has a name for.
"""

from __future__ import annotations

import re
from typing import Literal

from edge.errors import (
    ConfigError,
    ContextLengthError,
    EdgeError,
    MediaError,
    MemoryPlanError,
    PromptError,
    RequestError,
    WeightError,
)

Kind = Literal[
    "invalid_request",  # 400, 405, 411, 413, 415: the client must change something
    "context_length",  # 400: the prompt is longer than the context
    "authentication",  # 401
    "permission",  # 403
    "not_found",  # 404
    "timeout",  # 408
    "rate_limit",  # 429
    "internal",  # 500
    "not_supported",  # 501
    "overloaded",  # 503
]
STATUS: dict[Kind, int] = {
    "invalid_request": 400,
    "context_length": 400,
    "authentication": 401,
    "permission": 403,
    "not_found": 404,
    "timeout": 408,
    "rate_limit": 429,
    "internal": 500,
    "not_supported": 501,
    "overloaded": 503,
}


_PLACE = re.compile(r"((?:messages|tools)\[\d+\][\w.\[\]]*): ")


class ApiError(EdgeError):
    """A request that is answered with an error.

    Attributes:
        kind: What went wrong, in one word.
        status: HTTP status.
        param: The request's field that is wrong, in the protocol's spelling.
        code: A word that programs test, such as "model_not_found"; None where there is none.
        retry_s: Seconds after which a second try makes sense; None says that it makes none.
        allow: Methods that the path takes, where another was found.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        status: int | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_s: float | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message, field=param)
        self.kind: Kind = kind
        self.status = status or STATUS[kind]
        self.param = param
        self.code = code
        self.retry_s = retry_s
        self.allow = allow

    @property
    def message(self) -> str:
        """The line for the user.

        Programs that shorten a conversation by themselves, Claude Code among them, look for the words put before it.
        """
        return f"Prompt is too long: {self}" if self.kind == "context_length" else str(self)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell clients whether to try again; official clients retry on some statuses by themselves."""
        if self.retry_s is None:
            return {"x-should-retry": "false", **({"allow": self.allow} if self.allow else {})}
        return {"retry-after": str(max(1, round(self.retry_s)))}


def to_api_error(error: BaseException) -> ApiError:
    """Say what an exception means to a client; what nobody expected tells nothing of its inside."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ContextLengthError):
        kind: Kind = "invalid_request" if error.field == "max_tokens" else "context_length"  # a shorter answer would do
        return ApiError(kind, str(error), param=error.field or "messages", code="context_length_exceeded")
    if isinstance(error, MemoryPlanError):
        return ApiError("invalid_request", str(error), param=error.field, code="insufficient_memory")
    if isinstance(error, RequestError | PromptError | MediaError):
        return ApiError("invalid_request", str(error), param=_param_of(error), code=_code_of(error))
    if isinstance(error, ConfigError | WeightError):
        return ApiError("internal", str(error), code="model_broken")
    if isinstance(error, EdgeError):
        return ApiError("overloaded", str(error), code="model_closed", retry_s=2)
    return ApiError("internal", "Internal error; the server's log has more. Please report it.", code="internal_error")


def _param_of(error: EdgeError) -> str | None:
    """Return the field that an error names, or the place in messages or tools with which its text begins."""
    if error.field is None and (found := _PLACE.match(str(error))) is not None:
        return found[1]
    return error.field or ("messages" if isinstance(error, PromptError) else None)


def _code_of(error: EdgeError) -> str | None:
    return "invalid_media" if isinstance(error, MediaError) else None


class ClientGone(Exception):
    """The client closed its connection; nobody waits for an answer."""
