"""One table of dtypes: sizes and types agree, and what is written reads back as what it was."""

from __future__ import annotations

import mlx.core as mx
import pytest

from edge.checkpoint.files.dtypes import DTYPES, FLOATS, NAMES, READABLE


@pytest.mark.parametrize("name", READABLE)
def test_the_carrier_has_the_bits_of_the_format(name: str) -> None:
    assert DTYPES[name].numpy_type.itemsize * 8 == DTYPES[name].bits


@pytest.mark.parametrize("name", sorted(set(READABLE) - {"F64"}))
def test_the_meaning_has_the_bits_of_the_carrier(name: str) -> None:
    assert DTYPES[name].mlx_type.size * 8 == DTYPES[name].bits


def test_every_dtype_of_mlx_that_files_hold_has_one_name() -> None:
    assert {NAMES[dtype] for dtype in (mx.float32, mx.bfloat16, mx.float16, mx.uint32)} == {"F32", "BF16", "F16", "U32"}
    assert all(DTYPES[name].meaning == dtype for dtype, name in NAMES.items())


def test_only_floats_can_be_no_number() -> None:
    assert set(FLOATS) == {"F64", "F32", "F16", "BF16", "F8_E4M3"}
