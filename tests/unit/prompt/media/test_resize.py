from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.prompt.media.resize import resize_bicubic
from edge.prompt.types import Pixels


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_same_size_changes_nothing() -> None:
    pixels = noise(3, 33, 47)
    assert np.array_equal(resize_bicubic(pixels, height=33, width=47), pixels)


@settings(deadline=None)
@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.sampled_from([0, 1, 127, 255])
)
def test_a_flat_picture_stays_flat(height: int, width: int, new_height: int, new_width: int, level: int) -> None:
    resized = resize_bicubic(np.full((3, height, width), level, np.uint8), height=new_height, width=new_width)
    assert resized.shape == (3, new_height, new_width)
    assert resized.dtype == np.uint8
    assert np.all(resized == level)


def test_planes_and_frames_are_independent() -> None:
    pixels = noise(4, 3, 50, 70)
    together = resize_bicubic(pixels, height=32, width=96)
    assert np.array_equal(together[2, 1], resize_bicubic(pixels[2, 1], height=32, width=96))


@pytest.mark.parametrize(
    ("row", "width", "expected"),
    [
        # Computed once with torch 2.13: interpolate(uint8, mode="bicubic", antialias=True).
        ([0, 255], 4, [0, 53, 202, 255]),
        ([0, 50, 100, 150, 200, 250], 3, [27, 125, 223]),
        ([255, 0, 255, 0, 255, 0, 255, 0], 2, [139, 116]),
    ],
)
def test_known_rows(row: list[int], width: int, expected: list[int]) -> None:
    pixels = np.array(row, np.uint8)[None, None]
    assert resize_bicubic(pixels, height=1, width=width)[0, 0].tolist() == expected
