from __future__ import annotations

import pytest

from edge.errors import UsageError
from edge.memory import RESERVE_BYTES
from edge.plan.machine import ON_METAL, parse_mac, this_machine


@pytest.mark.parametrize("text", ["M4 16 GB", "16", "16GB", "MacBook Air M2, 16 GiB", "m4 pro 16g"])
def test_a_macs_memory_is_read_and_a_share_of_it_is_usable(text: str) -> None:
    machine = parse_mac(text)
    assert machine.usable_bytes == 12 * 2**30 - RESERVE_BYTES
    assert machine.precision == ON_METAL


@pytest.mark.parametrize("text", ["M4", "", "16 MB", "M4 2 GB", "-16"])
def test_text_without_a_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 'M4 16 GB'"):
        parse_mac(text)


def test_this_machine_is_measured() -> None:
    assert this_machine().usable_bytes > 0
