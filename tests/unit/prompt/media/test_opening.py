from __future__ import annotations

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
