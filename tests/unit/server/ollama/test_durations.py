from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge.server.errors import ApiError
from edge.server.fields import Fields
from edge.server.ollama.durations import expiry, nanoseconds, read_keep_alive, timestamp


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (0, 0.0),
        ("0", 0.0),
        (300, 300.0),
        (1.5, 1.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("300ms", 0.3),
        ("-1", math.inf),
        (-1, math.inf),
        ("-1m", math.inf),
        (10**400, math.inf),
    ],
)
def test_keep_alive_is_seconds_or_a_duration(value: Any, seconds: float | None) -> None:
    assert read_keep_alive(Fields({"keep_alive": value})) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "m", "5 m", "5x", "5m-", True, [], "1" * 400 + "m"])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ApiError, match="keep_alive: expected seconds, or a duration"):
        read_keep_alive(Fields({"keep_alive": value}))


def test_durations_are_whole_nanoseconds() -> None:
    assert nanoseconds(1.5) == 1_500_000_000
    assert isinstance(nanoseconds(0.1 + 0.2), int)


def test_times_have_a_fraction_and_a_zone() -> None:
    assert timestamp(datetime(2026, 11, 26, 10, 5, 3, 70, UTC)) == "2026-11-26T10:05:03.000070Z"


@pytest.mark.parametrize("left", [None, math.inf])
def test_a_model_that_stays_expires_in_a_century(left: float | None) -> None:
    assert datetime.fromisoformat(expiry(left)) > datetime.now(UTC) + timedelta(days=36_000)


def test_a_model_that_goes_expires_then() -> None:
    assert datetime.fromisoformat(expiry(60.0)) < datetime.now(UTC) + timedelta(seconds=61)
