from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import MediaError
from edge.prompt.media.patches import fit_image, make_patches, resize_frame
from edge.settings import ImageSettings
from tests.prompt_parts import formula_image

SETTINGS = ImageSettings()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((720, 1280), (704, 1280)),  # 22.5 rows of 32 round to 22, the even one (llama.cpp: 736)
        ((80, 4000), (64, 4000)),  # 2.5 -> 2
        ((112, 4000), (128, 4000)),  # 3.5 -> 4
        ((1, 1), (256, 256)),
        ((200, 300), (224, 320)),
        ((5000, 5000), (4096, 4096)),
        ((20, 4000), (32, 4000)),
    ],
)
def test_sizes_round_half_to_even(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit_image(*size, SETTINGS) == expected


@settings(deadline=None)
@given(st.integers(1, 20000), st.integers(1, 20000))
def test_every_size_is_a_multiple_of_32_within_the_limits(height: int, width: int) -> None:
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(MediaError, match="at most 200 times"):
            fit_image(height, width, SETTINGS)
        return
    rows, columns = fit_image(height, width, SETTINGS)
    assert rows % 32 == columns % 32 == 0
    assert rows * columns <= SETTINGS.max_pixels
    assert rows * columns >= SETTINGS.min_pixels


def test_a_narrow_picture_names_its_ratio() -> None:
    with pytest.raises(MediaError, match=r"4001x20 pixels.*200\.05 times"):
        fit_image(20, 4001, SETTINGS)


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(MediaError, match="empty"):
        fit_image(0, 10, SETTINGS)


def test_patch_rows_run_over_merge_blocks_and_hold_channel_time_row_column() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 96), dtype=np.uint8)
    patches = make_patches(frames, SETTINGS)
    assert patches.shape == (2 * 4 * 6, 1536)
    assert patches.dtype == np.float32
    # Row 7 of time 1: block (0, 1), inside it (1, 1): patch row 1, patch column 3; frames 2 and its repetition.
    row = patches[24 + 7].reshape(3, 2, 16, 16)
    levels = frames[2, :, 16:32, 48:64].astype(np.float32)
    expected = (levels - np.float32(127.5)) / np.float32(127.5)
    assert np.array_equal(row[:, 0], expected)
    assert np.array_equal(row[:, 1], expected)


def test_patches_use_mean_and_std_of_each_channel() -> None:
    settings = ImageSettings(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    row = make_patches(np.full((1, 3, 32, 32), 51, np.uint8), settings)[0].reshape(3, 2, 256)
    assert row[:, 0, 0] == pytest.approx([0.2, 0.0, -0.1], abs=1e-6)


def test_resized_frames_are_planar() -> None:
    frame = formula_image(64, 96, 1)
    assert np.array_equal(resize_frame(frame, height=64, width=96), frame.transpose(2, 0, 1))
