"""Options of pictures and videos: classes or mappings, only what is set goes into the message."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import RequestError
from edge.options import Image, ImageOptions, Video, VideoOptions, given, options_of


def test_only_what_is_set_is_given() -> None:
    assert given(VideoOptions(fps=2.0)) == {"fps": 2.0}
    assert Video(["a.png"], frame_rate=4.0).part() == {"type": "video", "video": ["a.png"], "frame_rate": 4.0}


def test_a_mapping_becomes_its_class() -> None:
    assert Image("a.png", {"max_tokens": 64}) == Image("a.png", ImageOptions(max_tokens=64))
    assert options_of(VideoOptions, None, field="video") is None


@pytest.mark.parametrize("kind", [Image, Video])
@pytest.mark.parametrize("options", [5, {"speed": 1}])
def test_wrong_options_are_refused(kind: Any, options: Any) -> None:  # Any: that is the point
    with pytest.raises(RequestError) as caught:
        kind("a.png", options)
    assert caught.value.field == "options"
