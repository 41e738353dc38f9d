"""One reader: rows of a tensor come back as they are stored, and a file that is cut or damaged is one line."""

from __future__ import annotations

import os
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from edge.checkpoint.files.header import TensorInfo
from edge.checkpoint.files.rows import PlainFile, read_rows
from edge.checkpoint.files.shards import SafetensorsFile
from edge.errors import SpoiledError, WeightError
from tests.unit.checkpoint.checkpoints import write_safetensors


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(mx.float32, float("nan")), (mx.bfloat16, float("inf")), (mx.float16, float("-inf")), (mx.bfloat16, float("nan"))],
)
def test_a_weight_that_is_no_number_is_refused_by_name(tmp_path: Path, dtype: mx.Dtype, value: float) -> None:
    weight = mx.ones((4, 6))
    weight[2, 3] = value
    write_safetensors(tmp_path / "shard.safetensors", {"w": weight.astype(dtype)})
    info = SafetensorsFile(tmp_path / "shard.safetensors").tensors["w"]
    with pytest.raises(WeightError, match=r"shard\.safetensors: w holds 1 values that are infinite or no number"):
        read_rows(info, "w", is_checked=True)
    assert read_rows(info, "w", 0, 2, is_checked=True).shape == (2, 6)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard.safetensors"
    write_safetensors(path, {"w": mx.ones((4, 6))})
    info = SafetensorsFile(path).tensors["w"]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightError, match="truncated while it was read, at w"):
        read_rows(info, "w")


@pytest.mark.parametrize(("value", "is_sound"), [(1.5, True), (float("nan"), False), (1e300, False)])
def test_doubles_become_float32_or_are_refused(value: float, is_sound: bool, tmp_path: Path) -> None:
    path = tmp_path / "shard.safetensors"
    path.write_bytes(np.full(4, value, "<f8").tobytes())
    info = TensorInfo(path, "F64", (2, 2), 0, 32)
    if is_sound:
        assert mx.array_equal(read_rows(info, "w"), mx.full((2, 2), value))
    else:
        with pytest.raises(SpoiledError, match="w holds"):
            read_rows(info, "w")


def test_rows_are_those_of_the_whole(tmp_path: Path) -> None:
    weight = mx.random.normal((5, 3, 2))
    write_safetensors(tmp_path / "shard.safetensors", {"a": mx.ones((7,)), "w": weight})
    file = SafetensorsFile(tmp_path / "shard.safetensors")
    assert mx.array_equal(read_rows(file.tensors["w"], "w", 1, 4), weight[1:4])
    assert mx.array_equal(file.read("w", 4), weight[4:])
    assert read_rows(file.tensors["w"], "w", 2, 2).shape == (0, 3, 2)


def test_without_the_check_a_number_that_is_none_comes_as_it_is_stored(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "shard.safetensors", {"w": mx.array([float("nan"), 1.0])})
    info = SafetensorsFile(tmp_path / "shard.safetensors").tensors["w"]
    assert np.isnan(np.array(read_rows(info, "w"))).tolist() == [True, False]


def test_a_file_that_is_cut_while_the_runtime_reads_it_is_an_error_and_no_end_of_the_process(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "shard.safetensors", {"w": mx.ones((2048, 2048))})
    file = SafetensorsFile(tmp_path / "shard.safetensors")
    os.truncate(file.path, 5000)
    with pytest.raises(SpoiledError, match=r"shard\.safetensors: truncated while it was read, at w"):
        file.read("w")


def test_an_open_file_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "shard.safetensors", {"w": mx.ones((4,))})
    file = SafetensorsFile(tmp_path / "shard.safetensors")
    write_safetensors(tmp_path / "new.safetensors", {"w": mx.zeros((4,))})
    (tmp_path / "new.safetensors").replace(file.path)
    assert file.read("w").tolist() == [1, 1, 1, 1]


def test_a_file_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightError, match=r"gone: w cannot be read \(No such file or directory\)"):
        read_rows(TensorInfo(tmp_path / "gone", "F32", (1,), 0, 4), "w")


def test_a_read_that_comes_in_parts_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(bytes(range(100)))
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, place: preadv(file, [buffers[0][:7]], place))
    assert PlainFile(tmp_path / "a").read(10, 50, name="a").tobytes() == bytes(range(10, 60))
