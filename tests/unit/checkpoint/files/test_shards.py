"""Shards: every dtype reads back, and the index is believed only as far as the files bear it out."""

from __future__ import annotations

import pickle
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from edge.checkpoint.files.shards import SafetensorsFile, open_folder
from edge.errors import WeightError
from tests.unit.checkpoint.checkpoints import header_bytes, write_index, write_safetensors, write_shards

CODES = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("BF16", np.array([[0x3F80, 0xC040, 0x0001]], np.uint16), mx.array([[0x3F80, 0xC040, 1]], mx.uint16)),
        ("F16", np.array([[1.5, -2.0]], np.float16), mx.array([[1.5, -2.0]], mx.float16)),
        ("F32", np.array([1e-30, 3.0], np.float32), mx.array([1e-30, 3.0])),
        ("F64", np.array([0.5, 3.0], np.float64), mx.array([0.5, 3.0])),
        ("U32", np.array([2**32 - 1], np.uint32), mx.array([2**32 - 1], mx.uint32)),
        ("U8", CODES, mx.arange(256).astype(mx.uint8)),
        ("F8_E4M3", CODES, mx.arange(256).astype(mx.uint8)),
        ("I8", np.array([-1, 5], np.int8), mx.array([-1, 5], mx.int8)),
        ("I64", np.array([-(2**40)], np.int64), mx.array([-(2**40)], mx.int64)),
        ("BOOL", np.array([True, False]), mx.array([True, False])),
    ],
)
@pytest.mark.parametrize("padding", ["", "x"])
def test_every_dtype_reads_back_at_every_alignment(
    tmp_path: Path, dtype: str, values: np.ndarray, expected: mx.array, padding: str
) -> None:
    path = tmp_path / "a.safetensors"
    header = header_bytes({"x": (dtype, values.shape)}, padding=padding)
    path.write_bytes(header + values.tobytes())
    array = SafetensorsFile(path).read("x")
    array = array.view(mx.uint16) if dtype == "BF16" else array
    assert array.dtype == expected.dtype
    assert array.shape == expected.shape
    assert mx.array_equal(array, expected)


def test_empty_and_scalar_tensors_keep_their_shapes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(header_bytes({"x": ("BF16", (0, 3)), "y": ("F32", ())}) + np.float32(2.5).tobytes())
    file = SafetensorsFile(path)
    assert (file.read("x").shape, file.read("x").dtype) == ((0, 3), mx.bfloat16)
    assert (file.read("y").shape, file.read("y").item()) == ((), 2.5)


def test_a_dtype_without_a_meaning_here_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(header_bytes({"x": ("F8_E5M2", (4,))}) + bytes(4))
    with pytest.raises(WeightError, match=r"x is stored as F8_E5M2, which is not supported, only BOOL"):
        SafetensorsFile(path).read("x")


def test_another_process_gets_a_file_of_its_own(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a.safetensors", {"x": mx.ones((2, 3))})
    sent = pickle.loads(pickle.dumps(SafetensorsFile(tmp_path / "a.safetensors")))
    assert mx.array_equal(sent.read("x"), mx.ones((2, 3)))


def two_tensors() -> dict[str, mx.array]:
    return {"a": mx.array([1.0]), "b": mx.array([2.0])}


def test_shards_are_joined(tmp_path: Path) -> None:
    write_shards(tmp_path, two_tensors(), num_shards=2)
    source = open_folder(tmp_path)
    assert sorted(source) == ["a", "b"]
    assert [source.read(name).item() for name in ("a", "b")] == [1.0, 2.0]
    assert source.index_missing == ()


def test_a_sound_index_leaves_other_files_out(tmp_path: Path) -> None:
    write_shards(tmp_path, two_tensors(), num_shards=2)
    write_safetensors(tmp_path / "old.safetensors", {"a": mx.array([9.0]), "z": mx.array([9.0])})
    source = open_folder(tmp_path)
    assert source.unlisted == ("old.safetensors",)
    assert (sorted(source), source.read("a").item()) == (["a", "b"], 1.0)


def test_a_stale_index_is_ignored(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", two_tensors())
    write_index(tmp_path, {"model.a": "model-00001-of-00013.safetensors", "b": "model.safetensors"})
    source = open_folder(tmp_path)
    assert sorted(source) == ["a", "b"]
    assert (source.index_missing, source.index_total) == (("model-00001-of-00013.safetensors",), 2)


def test_an_index_with_right_files_and_wrong_names_is_stale_too(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model-00001-of-00002.safetensors", {"a": mx.array([1.0])})
    write_safetensors(tmp_path / "model-00002-of-00002.safetensors", {"b": mx.array([2.0])})
    write_index(tmp_path, {"model.a": "model-00001-of-00002.safetensors"})
    assert sorted(open_folder(tmp_path)) == ["a", "b"]


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "one.safetensors", two_tensors())
    write_safetensors(tmp_path / "two.safetensors", {"b": mx.array([3.0])})
    with pytest.raises(WeightError, match=r"b is in one\.safetensors and again in two\.safetensors"):
        open_folder(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "last.ckpt"])
def test_a_folder_of_pickles_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(WeightError, match=f"found {name}; pickle files can run code .* Choose a safetensors version"):
        open_folder(tmp_path)


def test_pickles_beside_safetensors_are_not_touched(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", two_tensors())
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x04.")
    assert sorted(open_folder(tmp_path)) == ["a", "b"]


def test_a_folder_without_shards_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("")
    with pytest.raises(WeightError, match=r"expected \.safetensors files, found README\.md"):
        open_folder(tmp_path)


def test_an_index_without_any_of_its_shards_counts_them(tmp_path: Path) -> None:
    write_index(tmp_path, {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"})
    with pytest.raises(WeightError, match=r"lists 2 shards, 2 are missing: model-00001-of-00002\.safetensors"):
        open_folder(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": {"a": 3}}'])
def test_a_broken_index_is_refused(tmp_path: Path, content: str) -> None:
    write_safetensors(tmp_path / "model.safetensors", two_tensors())
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(WeightError, match=r"model\.safetensors\.index\.json.*Download it again"):
        open_folder(tmp_path)


def test_hidden_files_of_other_systems_are_not_shards(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", two_tensors())
    (tmp_path / "._model.safetensors").write_bytes(b"finder")
    assert sorted(open_folder(tmp_path)) == ["a", "b"]
