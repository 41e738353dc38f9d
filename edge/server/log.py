"""Write the server's log: one JSON object a line on stderr, without what people asked or were told."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Any

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The name of the request that is being answered: in its headers, its line of the log and Anthropic's errors."""
_LOG = logging.getLogger("edge.server")


class JsonLines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record down; what stands in it cannot begin a line of its own."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {"time": f"{stamp}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        if isinstance(record.args, dict):
            line |= {"event": record.msg, **record.args}
        else:
            line["event"] = record.getMessage()
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def start_log() -> None:
    """Send the log of the server and of uvicorn to stderr; `main` calls it once.

    What keeps the server from starting is told by `main`, in one line; uvicorn is silent until then.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("edge", logging.INFO), ("uvicorn.error", logging.CRITICAL)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)


def open_uvicorn_log() -> None:
    """Let uvicorn write warnings, once the server has started."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def log_event(event: str, **fields: Any) -> None:  # Any: values of the line
    """Write a line."""
    _LOG.info(event, fields)


def log_fault(error: BaseException) -> None:
    """Write down a failure that nobody expected, with where it came from."""
    _LOG.error("fault: %s", type(error).__name__, exc_info=(type(error), error, error.__traceback__))
