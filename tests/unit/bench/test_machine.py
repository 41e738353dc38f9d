"""What a computer says of itself, with a fake system: a Mac is not at hand."""

from __future__ import annotations

import pytest

from edge.bench.machine import CHIP_GB_PER_S, Machine, ask_system, this_machine

MAC = {
    "sysctl -n machdep.cpu.brand_string": "Apple M4 Pro",
    "sysctl -n hw.memsize": "25769803776",
    "sw_vers -productVersion": "26.1",
    "pmset -g batt": "Now drawing from 'Battery Power'\n -InternalBattery-0 80%",
    "pmset -g": " lowpowermode         1\n",
}


def test_a_mac_is_described_with_its_power_state() -> None:
    found = this_machine(lambda command: MAC.get(" ".join(command)), system="darwin")
    assert found == Machine("Apple M4 Pro", "macOS 26.1", 25769803776, "on battery, low power mode", 273)
    assert found.line() == "Apple M4 Pro, 26 GB, macOS 26.1, on battery, low power mode, 273 GB/s stated"


@pytest.mark.parametrize(
    ("settings", "power"), [(" powermode 0\n", "on mains"), (" powermode 1\n", "on mains, low power mode")]
)
def test_mains_and_the_power_mode_are_told_apart(settings: str, power: str) -> None:
    answers = {**MAC, "pmset -g batt": "Now drawing from 'AC Power'", "pmset -g": settings}
    assert this_machine(lambda command: answers.get(" ".join(command)), system="darwin").power == power


def test_a_system_that_says_nothing_leaves_things_out() -> None:
    found = this_machine(lambda _: None, system="darwin")
    assert (found.chip, found.system, found.power, found.stated_gb_per_s) == ("Apple chip", "macOS", "", None)
    assert found.memory_bytes > 0


def test_this_computer_has_a_name_and_memory() -> None:
    found = this_machine(lambda _: None, system="linux")
    assert found.chip
    assert found.memory_bytes > 1e8
    assert found.as_dict()["chip"] == found.chip


def test_a_query_that_fails_or_is_not_there_is_none() -> None:
    assert ask_system(["false"]) is None
    assert ask_system(["no-such-program-here"]) is None
    assert ask_system(["echo", "yes"]) == "yes"


def test_bandwidths_grow_with_the_kind_of_chip() -> None:
    for family in ("M1", "M2", "M3", "M4"):
        values = [value for name, value in CHIP_GB_PER_S.items() if name.split()[0] == family]
        assert values == sorted(values)
