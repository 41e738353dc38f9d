"""The progress line: on a terminal only, and with a speed that earlier work does not flatter."""

from __future__ import annotations

import io

import pytest

from convert.progress import Progress, describe_seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    progress = Progress(total_bytes=10, total_items=1, out=out)
    progress.advance(10, 1)
    progress.close()
    assert out.getvalue() == ""


def test_the_line_tells_items_gigabytes_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    out = Terminal()
    progress = Progress(total_bytes=62_000_000_000, total_items=930, out=out)
    progress.advance(2_000_000_000, 30)
    assert out.getvalue() == "\r30/930 tensors  2.00/62.00 GB  200 MB/s  5:00 left"


def test_work_of_an_earlier_run_does_not_count_as_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 10.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    out = Terminal()
    progress = Progress(total_bytes=4_000_000_000, total_items=8, out=out)
    progress.skip(2_000_000_000, 4)
    progress.advance(1_000_000_000, 2)
    assert out.getvalue().endswith("6/8 tensors  3.00/4.00 GB  100 MB/s  0:10 left")


def test_a_closed_line_is_gone() -> None:
    out = Terminal()
    progress = Progress(total_bytes=1, total_items=1, out=out)
    progress.close()
    assert out.getvalue().endswith("\r")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (61, "1:01"), (3725, "1:02:05")])
def test_a_duration_is_written_with_minutes(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text
