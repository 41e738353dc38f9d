"""Headers are untrusted: every lie about sizes is refused with a line that names file, expectation and finding."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.checkpoint.files.header import read_header
from edge.checkpoint.files.shards import SafetensorsFile
from edge.errors import WeightError
from tests.unit.checkpoint.checkpoints import Json, header_bytes


def raw_file(path: Path, header: Json | str, data: bytes = b"") -> Path:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str = "U8", shape: object = (4,), offsets: object = (0, 4)) -> Json:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_names_shapes_and_metadata_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(header_bytes({"x": ("F32", (2, 3)), "y": ("BF16", ())}, format="mlx") + bytes(26))
    with path.open("rb") as file:
        header = read_header(file, path)
    assert header.metadata == {"format": "mlx"}
    assert {name: (info.dtype, info.shape, info.num_bytes) for name, info in header.tensors.items()} == {
        "x": ("F32", (2, 3), 24),
        "y": ("BF16", (), 2),
    }


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"x": entry()}, b"123", r"truncated, the tensors need \d+ bytes, the file has \d+"),
        ({"x": entry()}, b"12345", "expected nothing behind them"),
        ({"x": entry(shape=[5])}, b"1234", r"x of U8 \[5\] needs 5 bytes, its data_offsets \[0, 4\] hold 4"),
        ({"x": entry(shape=[2**62, 2**62])}, b"1234", "needs .* bytes, its data_offsets"),
        ({"x": entry(offsets=[0, 2**60], shape=[2**60])}, b"1234", "truncated, the tensors need"),
        ({"x": entry(shape=[-4])}, b"1234", r"has shape \[-4\], expected at most 8 whole numbers"),
        ({"x": entry(shape=[4.0])}, b"1234", "has shape"),
        ({"x": entry(shape=[True, 4])}, b"1234", "has shape"),
        ({"x": entry(shape=[1] * 9 + [4])}, b"1234", "has shape"),
        ({"x": entry(offsets=[4, 0])}, b"1234", "has data_offsets"),
        ({"x": entry(offsets=[0])}, b"1234", "has data_offsets"),
        ({"x": entry(dtype="Q4")}, b"1234", "has dtype 'Q4', expected one of BOOL"),
        ({"x": entry(dtype=["U8"])}, b"1234", r"has dtype \['U8'\], expected one of BOOL"),  # type: ignore[arg-type]
        ({"x": entry(dtype={"a": 1})}, b"1234", "has dtype {'a': 1}, expected"),  # type: ignore[arg-type]
        ({"x": entry(shape=[10**4000] * 8)}, b"1234", "has shape .{0,90}, expected at most 8 whole numbers"),
        ({"x": entry(dtype="Q" * 600_000)}, b"1234", "has dtype .{0,90}, expected one of BOOL"),
        ({"x" * 600_000: entry()}, b"1234", "the name .{0,90} is not printable or too long"),
        ({"x\ny": entry()}, b"1234", r"the name 'x\\ny' is not printable"),
        ({"x": 7}, b"1234", "has dtype None"),
        ({"x": entry(), "y": entry()}, b"1234", "should start where x ends, found an overlap or gap"),
        ({"x": entry(), "y": entry(offsets=[5, 9])}, b"123456789", "overlap or gap"),
        ({"x": entry(offsets=[1, 5])}, b"12345", "should start the data, found a gap before it"),
        ({"__metadata__": [1]}, b"", "__metadata__ should be an object"),
        ([1], b"", "the header should be a JSON object, found list"),
        ("{", b"", "the header is not readable JSON"),
        ('{"x": 1, "x": 2}', b"", "'x' appears twice"),
        ("[" * 100_000, b"", "the header is not readable JSON"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: Json, data: bytes, message: str) -> None:
    path = raw_file(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(WeightError, match=message) as failure:
        SafetensorsFile(path)
    assert "bad.safetensors" in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated, expected a safetensors file, found 0 bytes"),
        (b"1234567", "truncated, expected a safetensors file, found 7 bytes"),
        ((2**63).to_bytes(8, "little"), "expected a safetensors header of at most 100000000 bytes"),
        ((1000).to_bytes(8, "little") + b"{}", "truncated, the header needs 1008 bytes, the file has 10"),
        (b"version https://git-lfs.github.com/spec/v1", "a git-lfs pointer"),
    ],
)
def test_a_file_that_ends_early_or_is_something_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightError, match=message):
        SafetensorsFile(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightError, match=r"gone\.safetensors: file not found"):
        SafetensorsFile(tmp_path / "gone.safetensors")


SOUND = header_bytes({"x": ("F32", (2, 3)), "y": ("BF16", (4,))}, format="mlx") + bytes(32)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(SOUND) - 1), value=st.integers(0, 255), length=st.integers(0, len(SOUND)))
def test_a_damaged_file_is_refused_or_stays_within_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, length: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "a.safetensors"
    for damaged in (SOUND[:place] + bytes([value]) + SOUND[place + 1 :], SOUND[:length]):
        path.write_bytes(damaged)
        assert end_of_tensors(path) <= len(damaged)


def end_of_tensors(path: Path) -> int:
    """Return where the last tensor ends, 0 for a file that is refused; anything but WeightError fails the test."""
    try:
        tensors = SafetensorsFile(path).tensors.values()
    except WeightError:
        return 0
    return max(info.start + info.num_bytes for info in tensors)


def test_a_name_that_stands_twice_among_many_is_found_at_once(tmp_path: Path) -> None:
    entries = ",".join(f'"t{index}":{{}}' for index in range(60_000))
    path = raw_file(tmp_path / "a", "{" + entries + ',"t59999":{}}')
    start_s = time.process_time()
    with pytest.raises(WeightError, match="'t59999' appears twice"):
        SafetensorsFile(path)
    assert time.process_time() - start_s < 5  # 0.1 s measured; a search per name took 55 s


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_folder_named_like_a_shard_is_refused_at_once(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "model.safetensors")
    with pytest.raises(WeightError, match="expected a safetensors shard, found a folder, pipe or device"):
        SafetensorsFile(tmp_path / "model.safetensors")
