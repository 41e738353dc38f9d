"""A laid-out GGUF file, filled with bytes, is one that the reader opens, whole or in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.gguf.layout import FilePlan, TensorPlan, plan_files
from convert.gguf.metadata import Pairs
from edge.checkpoint.files.gguf import open_gguf
from edge.checkpoint.ggml.types import TYPES

NO_PAIRS = Pairs(0, b"")
TENSORS = (
    TensorPlan("a.weight", (3, 5), TYPES["F32"]),  # 60 bytes: the next one begins at 64
    TensorPlan("b.weight", (2, 32), TYPES["Q8_0"]),
    TensorPlan("c.weight", (2, 3, 64), TYPES["Q4_0"]),
)


def write(plans: list[FilePlan]) -> dict[str, bytes]:
    """Fill each tensor's place with bytes of its own; return them by name."""
    contents = {}
    for plan in plans:
        data = bytearray(plan.num_bytes)
        data[: len(plan.head)] = plan.head
        for number, place in enumerate(plan.places):
            own = np.random.default_rng(number).integers(0, 256, place.tensor.num_bytes, dtype=np.uint8).tobytes()
            data[place.start : place.start + len(own)] = own
            contents[place.tensor.name] = own
        plan.path.write_bytes(data)
    return contents


def test_what_is_laid_out_is_read_back(tmp_path: Path) -> None:
    plans = plan_files(tmp_path / "x.gguf", NO_PAIRS, TENSORS, max_bytes=None)
    contents = write(plans)
    file = open_gguf(tmp_path / "x.gguf")
    assert {name: file.read_bytes(name).tobytes() for name in file.tensors} == contents
    assert [file.tensors[tensor.name].shape for tensor in TENSORS] == [tensor.shape for tensor in TENSORS]


def test_tensors_begin_at_multiples_of_32_and_do_not_overlap(tmp_path: Path) -> None:
    (plan,) = plan_files(tmp_path / "x.gguf", NO_PAIRS, TENSORS, max_bytes=None)
    starts = [place.start for place in plan.places]
    assert len(plan.head) % 32 == 0
    assert starts[0] == len(plan.head)
    assert [start - starts[0] for start in starts] == [0, 64, 64 + 96]  # 2 rows of 34 bytes take 96
    assert plan.num_bytes == starts[2] + 224  # 2 x 3 rows of 36 bytes are 216


def test_rows_have_places_of_their_own(tmp_path: Path) -> None:
    (plan,) = plan_files(tmp_path / "x.gguf", NO_PAIRS, TENSORS, max_bytes=None)
    place = plan.places[2]
    first, second = place.extent(0, 1), place.extent(1, 2)
    assert (first.start, first.stop, second.stop) == (place.start, second.start, place.start + 216)


def test_parts_are_named_and_counted_as_llama_cpps(tmp_path: Path) -> None:
    plans = plan_files(tmp_path / "x.gguf", NO_PAIRS, TENSORS, max_bytes=130)
    assert [plan.path.name for plan in plans] == ["x-00001-of-00002.gguf", "x-00002-of-00002.gguf"]
    contents = write(plans)
    file = open_gguf(plans[0].path)
    assert {name: file.read_bytes(name).tobytes() for name in file.tensors} == contents


@pytest.mark.parametrize("max_bytes", [1, 60, 10**9])
def test_every_tensor_has_one_place_whatever_the_bound(tmp_path: Path, max_bytes: int) -> None:
    plans = plan_files(tmp_path / "x.gguf", NO_PAIRS, TENSORS, max_bytes=max_bytes)
    assert [place.tensor for plan in plans for place in plan.places] == list(TENSORS)
