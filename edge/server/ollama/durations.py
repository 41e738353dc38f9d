"""Read Ollama's `keep_alive`, and write durations and times as its clients parse them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from edge.server.fields import Fields

UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
FOR_EVER = timedelta(days=36_500)
_DURATION = re.compile(r"([+-]?)((?:\d{1,12}(?:\.\d{0,12})?(?:h|ms|m|s|us|µs|ns))+)", re.ASCII)
_PIECE = re.compile(r"(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)", re.ASCII)


def read_keep_alive(fields: Fields) -> float | None:
    """Take `keep_alive`: a number is seconds, text a duration such as "5m" or "1h30m", a negative one is for ever.

    Returns:
        Seconds, infinity for ever; None when absent.

    Raises:
        ApiError: It is neither.
    """
    value: Any = fields.any("keep_alive")  # Any: JSON
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is None:
        raise fields.wrong("keep_alive", 'seconds, or a duration such as "5m"', value)
    return math.inf if seconds < 0 else seconds


def nanoseconds(seconds: float) -> int:
    """Return whole nanoseconds; clients refuse fractions."""
    return round(seconds * 1e9)


def timestamp(moment: datetime) -> str:
    """Write a time as RFC 3339 with a fraction, which Go and Python parse."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expiry(seconds_left: float | None) -> str:
    """Write when a model leaves memory; None and infinity are a century away, as the field must be a time."""
    is_bounded = seconds_left is not None and seconds_left < FOR_EVER.total_seconds()
    left = timedelta(seconds=seconds_left or 0.0) if is_bounded else FOR_EVER
    return timestamp(datetime.now(UTC) + left)


def _seconds(value: Any) -> float | None:  # Any: JSON
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return max(-1.0, min(float(value), math.inf)) if abs(value) < 1e300 else math.inf
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"[+-]?\d{1,12}", value, re.ASCII):  # settings pages of programs send numbers as text
        return float(value)
    match = _DURATION.fullmatch(value)
    if match is None:
        return None
    seconds = sum(float(number) * UNITS_S[unit] for number, unit in _PIECE.findall(match[2]))
    return -seconds if match[1] == "-" else seconds
