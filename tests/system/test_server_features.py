"""What docs/server.md says beside other servers holds here: each probe says "yes"."""

from __future__ import annotations

import pytest

from tests.server_features import PROBES, Peer, try_all
from tests.system.server_process import ServerProcess


@pytest.mark.long
def test_every_feature_of_the_table_is_there() -> None:
    with ServerProcess() as server:
        found = dict(try_all(Peer(server.url.removeprefix("http://"), "demo")))
    assert found == dict.fromkeys(PROBES, "yes")


def test_a_probe_tells_what_came_instead() -> None:
    found = dict(try_all(Peer("127.0.0.1:1", "demo")))
    assert found.keys() == PROBES.keys()
    assert "yes" not in found.values()
