from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from edge.errors import MediaError
from edge.prompt.media.opening import open_video
from tests.prompt_parts import animation, encode


@pytest.mark.parametrize(
    "data", [animation("GIF", [100]), encode(Image.new("RGB", (9, 9)), "PNG"), b"\xff\xd8\xff\xe0"]
)
def test_one_frame_is_no_video(data: bytes) -> None:
    with pytest.raises(MediaError, match="Pass it as an image"):
        open_video(data)


def test_times_are_for_lists_only() -> None:
    with pytest.raises(MediaError, match="are for lists of frames"):
        open_video(animation("GIF", [100, 100]), frame_rate=2.0)


@pytest.mark.parametrize("shape", [(64, 64, 3), (4, 64, 64), (64, 64)])
def test_an_array_that_is_no_list_of_frames_is_told_by_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(MediaError, match="expected an array of frames"):
        open_video(np.zeros(shape, np.uint8), frame_rate=2.0)


def test_frames_that_can_be_read_once_only_are_refused_as_such() -> None:
    with pytest.raises(MediaError, match="found generator"):
        open_video((frame for frame in [Image.new("RGB", (9, 9))] * 4), frame_rate=2.0)
