from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import MediaError, PromptError
from edge.prompt.media.frames import OtherFramesError, Timeline
from edge.prompt.media.prepare import Media, prepare_media
from edge.prompt.types import MediaItem, Pixels
from edge.settings import ImageSettings, VideoSettings
from tests.prompt_parts import write_video


def prepare(source: Any, **options: Any) -> Media:  # Any: sources and options of every kind
    return prepare_media(MediaItem("video", source, "video 1", options), images=ImageSettings(), videos=VideoSettings())


def test_video_files_are_sampled_with_their_times(tmp_path: Path) -> None:
    pytest.importorskip("av")
    media = prepare(write_video(tmp_path / "a.mp4", num_frames=60, rate=10))
    assert media.num_source_frames == 60
    assert media.frame_indexes == (0, 5, 11, 16, 21, 27, 32, 38, 43, 48, 54, 59)
    assert media.times_s == pytest.approx([0.25, 1.35, 2.4, 3.5, 4.55, 5.65])
    assert media.grid_thw == (6, 4, 4)
    levels = media.pixels[:, 0, -1, -1].astype(int)
    assert levels == pytest.approx([4 * index for index in media.frame_indexes], abs=6)


def test_a_long_video_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = write_video(tmp_path / "long.mp4", num_frames=400, rate=10, height=240, width=320)
    tracemalloc.start()
    media = prepare(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert media.num_source_frames == 400
    assert peak < media.pixels.nbytes + 12 * 240 * 320 * 3 * 8 < 400 * 240 * 320 * 3


class Miscounted:
    """A source that promises more frames than it has."""

    label, height, width, is_chosen = "v.mp4", 64, 64, False

    def __init__(self, promised: int, found: Sequence[int]) -> None:
        self.timeline, self._found = Timeline.even(promised, 2.0), list(found)

    def read(self, indexes: Sequence[int]) -> Iterator[Pixels]:
        found = self._found.pop(0)
        for index in indexes:
            if index < found:
                yield np.full((64, 64, 3), index, np.uint8)
        if found != len(self.timeline.starts):
            raise OtherFramesError(Timeline.even(found, 2.0))

    def close(self) -> None:
        pass


def test_a_wrong_count_in_the_container_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.prompt.media.prepare.open_video", lambda *_, **__: Miscounted(10, [8, 8]))
    media = prepare("v.mp4")
    assert media.num_source_frames == 8
    assert media.frame_indexes == (0, 1, 2, 3, 4, 5, 6, 7)
    assert media.pixels[:, 0, 0, 0].tolist() == list(range(8))


def test_a_count_that_never_fits_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.prompt.media.prepare.open_video", lambda *_, **__: Miscounted(10, [8, 7]))
    with pytest.raises(MediaError, match="another number of frames each time"):
        prepare("v.mp4")


def test_one_limit_alone_moves_the_other_end() -> None:
    frames = [np.zeros((64, 64, 3), np.uint8)] * 8
    media = prepare(frames, frame_rate=4.0, max_pixels=2048)
    assert isinstance(media.settings, VideoSettings)
    assert (media.settings.min_pixels, media.settings.max_pixels) == (2048, 2048)
    few = prepare(frames, frame_rate=4.0, fps=0.1, max_frames=3)
    assert len(few.frame_indexes) == 3


FRAMES = np.zeros((6, 64, 96, 3), np.uint8)


def test_numbers_of_numpy_are_numbers() -> None:
    given = {
        "frame_rate": np.float32(2),
        "fps": np.float32(2),
        "max_frames": np.int64(4),
        "max_pixels": np.int64(65536),
    }
    plain = {"frame_rate": 2.0, "fps": 2.0, "max_frames": 4, "max_pixels": 65536}
    assert prepare(FRAMES, **given).digest == prepare(FRAMES, **plain).digest
    tokens = [prepare(FRAMES, frame_rate=2, max_tokens=kind(8)).num_tokens for kind in (int, np.int64, np.uint16)]
    assert tokens[0] == tokens[1] == tokens[2] <= 8


@pytest.mark.parametrize("value", [0, -1, 16.0, "16", True, np.float32(16)])
@pytest.mark.parametrize("name", ["min_tokens", "max_tokens"])
def test_a_wrong_number_of_tokens_is_told_by_its_own_name(name: str, value: Any) -> None:  # Any: that is the point
    with pytest.raises(PromptError, match=f"{name} should be a positive whole number, found"):
        prepare(FRAMES, frame_rate=2, **{name: value})
