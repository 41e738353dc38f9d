from __future__ import annotations

import pytest

from convert.memory import check_memory
from edge.errors import MemoryPlanError


def test_what_does_not_fit_is_refused_with_numbers_and_advice() -> None:
    line = r"Baking needs 3\.2 GB of memory, 3\.1 GB are free\. Close other programs, or bake less\."
    with pytest.raises(MemoryPlanError, match=line):
        check_memory(3_200_000_000, what="Baking", advice="bake less", available=3_100_000_000)


def test_what_fits_is_let_through() -> None:
    check_memory(3_000, what="Baking", advice="bake less", available=3_000)


def test_free_memory_is_measured() -> None:
    check_memory(1, what="Baking", advice="bake less")
    with pytest.raises(MemoryPlanError):
        check_memory(1 << 60, what="Baking", advice="bake less")
