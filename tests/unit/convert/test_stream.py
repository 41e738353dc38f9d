"""Headers from the hub: the bytes that are asked for, whatever the server sends. Streams: tests/system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.checkpoint.fake_hub import COMMIT, REPOSITORY, FakeHub

# A process of its own: huggingface-hub reads its settings when it is imported.
FETCH = f"""
from convert.stream import Repository, _fetch_range
print(len(_fetch_range(Repository("{REPOSITORY}", "{COMMIT}", {{}}, {{}}), "large.safetensors", 1000)))
"""


@pytest.mark.parametrize("ignores_ranges", [False, True])
def test_no_more_is_read_than_asked_for(ignores_ranges: bool, tmp_path: Path) -> None:
    num_bytes = 100_000_000
    with FakeHub({"large.safetensors": bytes(num_bytes)}, ignores_ranges=ignores_ranges).running() as hub:
        own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "HF_TOKEN": "", "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", FETCH], env={**os.environ, **own}, capture_output=True, text=True, timeout=60
        )
        sent = hub.num_sent_bytes
    assert (done.stdout, done.stderr) == ("1000\n", "")
    assert sent < num_bytes / 4 if ignores_ranges else sent == 1000
