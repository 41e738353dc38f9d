from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import MediaError
from edge.prompt.media.frames import Timeline
from edge.prompt.media.sampling import fit_video, pair_times, sample_frames, sample_indexes, time_label
from edge.settings import VideoSettings

SETTINGS = VideoSettings()


@pytest.mark.parametrize(
    ("num_frames", "rate", "expected"),
    [
        (8, 4.0, [0, 2, 5, 7]),
        (30, 30.0, [0, 10, 19, 29]),
        (3, 30.0, [0, 1, 2]),
        (100, 25.0, [0, 14, 28, 42, 57, 71, 85, 99]),
    ],
)
def test_frames_are_taken_at_two_per_second(num_frames: int, rate: float, expected: list[int]) -> None:
    assert sample_indexes(num_frames, frame_rate=rate, settings=SETTINGS) == expected


@settings(deadline=None)
@given(st.integers(2, 200_000), st.floats(0.1, 240))
def test_samples_reach_from_the_first_to_the_last_frame(num_frames: int, rate: float) -> None:
    indexes = sample_indexes(num_frames, frame_rate=rate, settings=SETTINGS)
    assert indexes[0] == 0
    assert indexes[-1] == num_frames - 1
    assert np.all(np.diff(indexes) > 0)
    assert len(indexes) <= 768


def test_uneven_frames_are_held_as_long_as_they_are_shown() -> None:
    indexes, times = sample_frames(Timeline.of([0.0, 3.0], 5.0), SETTINGS)
    assert indexes == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert times == pytest.approx([index / 2 for index in range(10)])


def test_short_uneven_clips_repeat_no_frame() -> None:
    indexes, _ = sample_frames(Timeline.of([0.0, 0.1, 0.4], 0.5), SETTINGS)
    assert indexes == [0, 1, 2]


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 5.0), min_size=2, max_size=60), st.floats(0, 100))
def test_every_sample_is_the_frame_shown_at_its_time(durations: list[float], first: float) -> None:
    starts = [first + float(start) for start in np.cumsum([0.0, *durations])]
    timeline = Timeline.of(starts[:-1], starts[-1])
    indexes, times = sample_frames(timeline, SETTINGS)
    assert indexes == sorted(indexes)
    assert (indexes[0], indexes[-1]) == (0, len(durations) - 1)
    assert len(indexes) <= max(SETTINGS.max_frames, len(durations))
    for index, time in zip(indexes, times, strict=True):
        assert starts[index] - 0.021 <= time <= starts[index + 1] + 0.021


def test_one_frame_is_no_video() -> None:
    with pytest.raises(MediaError, match="Pass it as an image"):
        sample_indexes(1, frame_rate=24.0, settings=SETTINGS)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_must_be_positive(rate: float) -> None:
    with pytest.raises(MediaError, match="frame rate"):
        sample_indexes(10, frame_rate=rate, settings=SETTINGS)


def test_an_odd_number_of_frames_counts_the_last_one_twice() -> None:
    assert pair_times([0.0, 0.5, 1.0], SETTINGS) == (0.25, 1.0)


def test_times_are_written_with_one_digit() -> None:
    assert [time_label(time) for time in (0.25, 10.0, 0.05)] == ["<0.2 seconds>", "<10.0 seconds>", "<0.1 seconds>"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 480, 640), (480, 640)),
        ((16, 1080, 1920), (928, 1664)),
        ((768, 240, 320), (128, 192)),
        ((5, 64, 64), (64, 64)),  # five frames count as four: 2.5 pairs round to 2
        ((4, 20, 40), (32, 64)),  # smaller than one token: enlarged first, as transformers 5 does
    ],
)
def test_frame_sizes_share_the_pixels(shape: tuple[int, int, int], expected: tuple[int, int]) -> None:
    assert fit_video(*shape, SETTINGS) == expected


def test_the_cap_per_frame_follows_qwen_vl_utils_when_a_file_asks_for_it() -> None:
    capped = VideoSettings(cap_pixels_per_frame=True)
    height, width = fit_video(4, 1080, 1920, capped)
    assert height * width <= 768 * 1024
    assert fit_video(4, 1080, 1920, SETTINGS) == (1088, 1920)


def test_narrow_frames_are_refused() -> None:
    with pytest.raises(MediaError, match="at most 200 times"):
        fit_video(4, 10, 2010, SETTINGS)
