"""Stop a conversion of this process after some pieces."""

from __future__ import annotations

import pytest

from convert.partial import PartialOutput


def stop_after(monkeypatch: pytest.MonkeyPatch, count: int, error: BaseException) -> None:
    """Let `count` pieces be recorded, then raise."""
    record, calls = PartialOutput.record, iter(range(10**6))

    def stopping(self: PartialOutput, number: int, digest: str) -> None:
        if next(calls) >= count:
            raise error
        record(self, number, digest)

    monkeypatch.setattr(PartialOutput, "record", stopping)
