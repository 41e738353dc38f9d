"""States come back as they were kept, and a file is never seen half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.disk import OutputError
from convert.source import mark_files
from convert.verify.stages import LayerOutput
from convert.verify.store import StateStore, digest_of


def outputs(count: int = 12) -> list[LayerOutput]:
    return [
        LayerOutput(
            np.full((i + 1, 3), i, np.float32), np.full((i + 1, 2), i, np.int32), np.ones((i + 1, 3), np.float32)
        )
        for i in range(count)
    ]


def test_states_come_back_in_order_from_another_store(tmp_path: Path) -> None:
    StateStore(tmp_path).save("layer-00", outputs())
    found = StateStore(tmp_path)
    assert [array.shape for array in found.hidden("layer-00")] == [(i + 1, 3) for i in range(12)]
    assert [int(array[0, 0]) for array in found.experts("layer-00")] == list(range(12))
    assert len(found.router_inputs("layer-00")) == 12


def test_a_step_that_was_cut_off_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("convert.verify.store.os.replace", die)
    with pytest.raises(KeyboardInterrupt):
        StateStore(tmp_path).save("layer-00", outputs())
    assert not StateStore(tmp_path).has("layer-00")


def test_digests_tell_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    first = digest_of(mark_files([path]))
    assert digest_of(mark_files([path])) == first
    path.write_bytes(b"12")
    assert digest_of(mark_files([path])) != first


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "states")
    (tmp_path / "states").rmdir()
    with pytest.raises(OutputError, match=r"layer-00\.safetensors: cannot be written .* the same command goes on\.$"):
        store.save("layer-00", outputs())
    (tmp_path / "states").write_text("a file")
    with pytest.raises(OutputError, match="states: cannot be written"):
        StateStore(tmp_path / "states")
