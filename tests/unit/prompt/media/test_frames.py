from __future__ import annotations

import numpy as np
import pytest

from edge.errors import MediaError
from edge.prompt.media.frames import Timeline
from edge.prompt.media.opening import open_video

GREYS = [np.full((40, 60, 3), 20 * i, np.uint8) for i in range(5)]


def test_lists_have_a_rate_or_times() -> None:
    assert open_video(GREYS, frame_rate=4.0).timeline.starts == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert open_video(np.stack(GREYS), frame_rate=2.0).timeline.rate == 2.0
    assert open_video(GREYS, times_s=[0, 1, 5, 6, 7.5]).timeline.starts == (0.0, 1.0, 5.0, 6.0, 7.5)
    with pytest.raises(MediaError, match=r"either frame_rate .* or times_s"):
        open_video(GREYS)


@pytest.mark.parametrize("times", [[0, 1], [0, 1, 2, 1, 3], [0, 1, 2, 3, float("nan")], [-1, 0, 1, 2, 3], "01234"])
def test_times_must_increase(times: list[float]) -> None:
    with pytest.raises(MediaError, match="5 increasing seconds"):
        open_video(GREYS, times_s=times)


@pytest.mark.parametrize("rate", [0, -2, "fast", float("inf")])
def test_rates_must_be_positive(rate: float) -> None:
    with pytest.raises(MediaError, match="frame_rate should be a positive"):
        open_video(GREYS, frame_rate=rate)


def test_frames_of_a_list_have_one_size() -> None:
    frames = [*GREYS, np.zeros((40, 50, 3), np.uint8)]
    with pytest.raises(MediaError, match="frame 5 has 50x40"):
        list(open_video(frames, frame_rate=1.0).read(range(6)))


def test_an_empty_list_and_a_bad_frame_are_named() -> None:
    with pytest.raises(MediaError, match="list of frames is empty"):
        open_video([], frame_rate=1.0)
    with pytest.raises(MediaError, match=r"nothing\.png: file not found"):
        open_video(["nothing.png"], frame_rate=1.0)


def test_a_timeline_has_a_rate_only_where_frames_are_even() -> None:
    assert Timeline.of([0.0, 0.033, 0.067, 0.1], 0.133, stated_rate=30.0).rate == 30.0
    assert Timeline.of([0.0, 0.1, 0.2, 0.3], 0.4, stated_rate=30.0).rate == pytest.approx(10.0)
    assert Timeline.of([0.0, 0.1, 0.3, 0.4], 0.5, stated_rate=10.0).rate is None
    assert Timeline.of([0.0, 3.0], 5.0).rate is None
    assert Timeline.of([0.0, 3.0]).end == 6.0
    assert Timeline.of([0.0, 0.1, 0.2], 4.0, stated_rate=10.0).rate is None


@pytest.mark.parametrize("rate", [12.0, 24000 / 1001, 29.97, 50.0, 119.88])
def test_times_rounded_to_a_clock_are_even(rate: float) -> None:
    for tick in (0.001, 1 / 90000):
        times = [round(index / rate / tick) * tick for index in range(2000)]
        assert Timeline.of(times, stated_rate=rate).rate == rate
