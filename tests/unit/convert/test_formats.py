"""Formats as the command line writes them."""

from __future__ import annotations

import pytest

from convert.formats import checked_format, parse_format
from edge.config import LayerQuantization
from edge.errors import UsageError
from edge.plan.recipes import format_name


@pytest.mark.parametrize("text", ["4bit", "4bit/32", "bf16", "mxfp4", "nvfp4", "8bit/128"])
def test_a_format_is_written_as_it_is_read(text: str) -> None:
    assert format_name(parse_format(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7bit", "'7bit' is not a format"),
        ("q4_k", "Choose one of bf16, 8bit"),
        ("4bit/48", "group size 48 does not exist in mode affine, only 32, 64, 128"),
        ("mxfp4/64", "group size 64 does not exist in mode mxfp4, only 32"),
        ("bf16/32", "expected a group size behind the slash"),
        ("4bit/x", "expected a group size behind the slash"),
    ],
)
def test_a_wrong_format_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_format(text)


def test_numbers_take_the_defaults_of_their_mode() -> None:
    assert checked_format(bits=None, group_size=None, mode="nvfp4") == LayerQuantization(16, 4, "nvfp4")
    assert checked_format(bits=3, group_size=None, mode="affine") == LayerQuantization(64, 3, "affine")
    with pytest.raises(UsageError, match="bits 7 does not exist in mode affine"):
        checked_format(bits=7, group_size=None, mode="affine")
    with pytest.raises(UsageError, match="--mode int4: expected one of affine"):
        checked_format(bits=4, group_size=None, mode="int4")
