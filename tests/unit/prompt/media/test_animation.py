from __future__ import annotations

import pytest
from PIL import Image

from edge.errors import MediaError
from edge.prompt.media.opening import open_video
from tests.prompt_parts import animation, encode


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_animations_have_the_times_of_their_frames(format_name: str) -> None:
    video = open_video(animation(format_name, [100, 900, 200, 300]))
    assert video.timeline.starts == pytest.approx((0.0, 0.1, 1.0, 1.2))
    assert video.timeline.end == pytest.approx(1.5)
    assert video.timeline.rate is None
    frames = list(video.read([1, 3]))
    assert [int(frame.mean().round()) for frame in frames] == pytest.approx([20, 40], abs=3)


def test_frames_without_a_duration_last_a_tenth_of_a_second() -> None:
    assert open_video(animation("GIF", [0, 0, 0])).timeline.starts == pytest.approx((0.0, 0.1, 0.2))


def test_an_animation_bomb_is_refused_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.prompt.media.animation.MAX_ANIMATION_PIXELS", 40 * 50 * 3)
    assert len(open_video(animation("GIF", [100] * 3)).timeline.starts) == 3
    with pytest.raises(MediaError, match="4 frames of 50x40 pixels are too many"):
        open_video(animation("GIF", [100] * 4))


def test_transparent_animations_go_onto_white() -> None:
    frames = [Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("RGBA", (8, 8), (0, 0, 0, 255))]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100, blend=0)
    first, second = open_video(data).read([0, 1])
    assert (first.min(), second.max()) == (255, 0)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_a_cut_off_animation_is_an_error(format_name: str) -> None:
    data = animation(format_name, [100] * 20)
    with pytest.raises(MediaError, match="broken or cut off"):
        list(open_video(data[: len(data) * 2 // 3]).read(range(20)))
