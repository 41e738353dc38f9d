"""Mixed load on a running server that is full, with clients that vanish; the hour is `python -m tests.system.load`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.load.mix import all_kinds
from tests.system.load.report import MB, Report
from tests.system.load.run import LIMITS, run_load
from tests.system.server_process import ServerProcess

SHORT = ("chat seed 1", "completions", "ollama generate", "anthropic tool")


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    kinds = [kind for kind in all_kinds() if kind.name in SHORT]
    with ServerProcess(LIMITS) as server:
        yield run_load(server, kinds, seconds=4, seed=1)
        assert server.stop() == 0


def test_answers_of_a_full_server_are_those_it_gives_alone(report: Report) -> None:
    assert report.failures == []
    assert report.outcomes["right"] >= 2
    assert report.faults == []


def test_a_full_server_says_so(report: Report) -> None:
    assert report.outcomes["busy"] > 0


def test_clients_that_vanish_leave_nothing_behind(report: Report) -> None:
    assert report.outcomes["vanished"] > 0
    assert report.after.num_files <= report.samples[0].num_files + 1
    assert report.after.rss_bytes < report.samples[0].rss_bytes + 30 * MB
