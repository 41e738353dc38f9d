from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from edge.errors import MediaError
from edge.prompt.media.opening import open_video
from tests.prompt_parts import animation, encode

GREYS = [np.full((40, 60, 3), 20 * i, np.uint8) for i in range(5)]


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_animations_have_the_times_of_their_frames(format_name: str) -> None:
    video = open_video(animation(format_name, [100, 900, 200, 300]))
    assert video.num_frames == 4
    assert video.frame_rate == pytest.approx(4 / 1.5)
    assert video.times_s([0, 1, 2, 3]) == pytest.approx([0.0, 0.1, 1.0, 1.2])
    frames = list(video.read([1, 3]))
    assert [int(frame.mean().round()) for frame in frames] == pytest.approx([20, 40], abs=3)


def test_frames_without_a_duration_last_a_tenth_of_a_second() -> None:
    assert open_video(animation("GIF", [0, 0, 0])).times_s([0, 1, 2]) == pytest.approx([0.0, 0.1, 0.2])


def test_an_animation_bomb_is_refused_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.prompt.media.animation.MAX_ANIMATION_PIXELS", 40 * 50 * 3)
    assert open_video(animation("GIF", [100] * 3)).num_frames == 3
    with pytest.raises(MediaError, match="4 frames of 50x40 pixels are too many"):
        open_video(animation("GIF", [100] * 4))


def test_transparent_animations_go_onto_white() -> None:
    frames = [Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("RGBA", (8, 8), (0, 0, 0, 255))]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100, blend=0)
    first, second = open_video(data).read([0, 1])
    assert (first.min(), second.max()) == (255, 0)


@pytest.mark.parametrize(
    "data", [animation("GIF", [100]), encode(Image.new("RGB", (9, 9)), "PNG"), b"\xff\xd8\xff\xe0"]
)
def test_one_frame_is_no_video(data: bytes) -> None:
    with pytest.raises(MediaError, match="Pass it as an image"):
        open_video(data)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_a_cut_off_animation_is_an_error(format_name: str) -> None:
    data = animation(format_name, [100] * 20)
    with pytest.raises(MediaError, match="broken or cut off"):
        list(open_video(data[: len(data) * 2 // 3]).read(range(20)))


def test_lists_have_a_rate_or_times() -> None:
    assert open_video(GREYS, frame_rate=4.0).times_s([0, 3]) == [0.0, 0.75]
    assert open_video(np.stack(GREYS), frame_rate=2.0).times_s([4]) == [2.0]
    assert open_video(GREYS, times_s=[0, 1, 5, 6, 7.5]).times_s([2, 4]) == [5.0, 7.5]
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


def test_times_are_for_lists_only() -> None:
    with pytest.raises(MediaError, match="are for lists of frames"):
        open_video(animation("GIF", [100, 100]), frame_rate=2.0)
