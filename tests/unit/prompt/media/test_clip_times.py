"""The label of every sampled frame of a clip is within one frame of the truth, whatever the clip is made of."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from edge.prompt.media.prepare import Media, prepare_media
from edge.prompt.types import MediaItem
from edge.settings import ImageSettings, VideoSettings
from tests.clips import (
    animated,
    clip,
    even_clip,
    media_scale,
    numbered_frame,
    read_number,
    steps_to_times,
    streamed_clip,
    trimmed,
    turned,
)

pytest.importorskip("av")

RNG = np.random.default_rng(5)
JITTER = [int(step) for step in RNG.integers(20, 400, 90)]
BURSTS = [*([33] * 20 + [900]) * 4, 33]
DROPPED = [40 if number % 7 else 240 for number in range(100)]
ODD = [100, 1900, 300, 50, 2500, 700, 1000, 80]
EVEN_30 = [index / 30 for index in range(91)]
NTSC = [index * 1001 / 24000 for index in range(121)]


def cut(first: int, count: int) -> bytes:
    """A clip of 90 frames at 30 a second, of which an edit list shows some."""
    whole = even_clip("mp4", 90, Fraction(30), codec="libx264", bf="2", g="30")
    return trimmed(whole, first_s=first / 30, length_s=count / 30, media_scale=media_scale(whole))


# Name -> how to make it, the number of its first shown frame, and when frames appear (and the end).
CLIPS: dict[str, tuple[Callable[[], bytes], int, list[float]]] = {
    "mp4, 30 a second": (lambda: even_clip("mp4", 90, Fraction(30)), 0, EVEN_30),
    "mp4, b-frames": (lambda: even_clip("mp4", 90, Fraction(30), codec="libx264", bf="3"), 0, EVEN_30),
    "mov, 23.976 a second": (lambda: even_clip("mov", 120, Fraction(24000, 1001)), 0, NTSC),
    "mkv, b-frames": (lambda: even_clip("matroska", 90, Fraction(30), codec="libx264", bf="2"), 0, EVEN_30),
    "avi": (lambda: even_clip("avi", 90, Fraction(30)), 0, EVEN_30),
    "avi, b-frames": (lambda: even_clip("avi", 90, Fraction(30), codec="libx264", bf="2"), 0, EVEN_30),
    "ts, b-frames": (lambda: even_clip("mpegts", 90, Fraction(30), codec="libx264", bf="2"), 0, EVEN_30),
    "flv": (lambda: even_clip("flv", 90, Fraction(30), codec="flv"), 0, EVEN_30),
    "mpg": (lambda: even_clip("mpeg", 90, Fraction(30), codec="mpeg1video"), 0, EVEN_30),
    "ivf, no rate": (lambda: even_clip("ivf", 90, Fraction(30), codec="libvpx"), 0, EVEN_30),
    "h264 alone, no times and no length": (
        lambda: even_clip("h264", 90, Fraction(30), codec="libx264", bf="2"),
        0,
        EVEN_30,
    ),
    "mkv from a pipe, no length": (lambda: streamed_clip(90, 30), 0, EVEN_30),
    "mkv, uneven": (lambda: clip("matroska", JITTER, codec="libx264", bf="2"), 0, steps_to_times(JITTER)),
    "webm, uneven": (lambda: clip("webm", JITTER, codec="libvpx"), 0, steps_to_times(JITTER)),
    "mp4, uneven": (lambda: clip("mp4", JITTER, codec="libx264"), 0, steps_to_times(JITTER)),
    "mp4, pauses": (lambda: clip("mp4", BURSTS), 0, steps_to_times(BURSTS)),
    "mkv, dropped frames": (lambda: clip("matroska", DROPPED), 0, steps_to_times(DROPPED)),
    "mp4, dropped frames": (lambda: clip("mp4", DROPPED, codec="libx264", bf="2"), 0, steps_to_times(DROPPED)),
    "mp4, starts late": (lambda: clip("mp4", JITTER, start_ms=4000), 0, steps_to_times(JITTER)),
    "mkv, starts late": (lambda: clip("matroska", [40] * 90, start_ms=7000), 0, steps_to_times([40] * 90)),
    "mp4, start trimmed": (lambda: cut(39, 51), 39, [index / 30 for index in range(52)]),
    "mp4, end trimmed": (lambda: cut(0, 48), 0, [index / 30 for index in range(49)]),
    "mp4, both trimmed": (lambda: cut(20, 45), 20, [index / 30 for index in range(46)]),
    "gif, uneven": (lambda: animated("GIF", ODD), 0, steps_to_times(ODD)),
    "webp, uneven": (lambda: animated("WEBP", ODD), 0, steps_to_times(ODD)),
    "apng, uneven": (lambda: animated("PNG", ODD), 0, steps_to_times(ODD)),
    "gif, even": (lambda: animated("GIF", [100] * 40), 0, steps_to_times([100] * 40)),
}


def prepare(data: bytes) -> Media:
    item = MediaItem("video", data, "clip", {})
    return prepare_media(item, images=ImageSettings(), videos=VideoSettings(min_pixels=4096))


@pytest.mark.parametrize("name", CLIPS)
def test_labels_are_true(name: str) -> None:
    make, first, starts = CLIPS[name]
    media = prepare(make())
    assert media.num_source_frames == len(starts) - 1
    shown = [read_number(frame) - first for frame in media.pixels]
    shown += [shown[-1]] * (len(shown) % 2)
    frame_s = np.median(np.diff(starts))
    for left, right, label in zip(shown[::2], shown[1::2], media.times_s, strict=True):
        assert (starts[left] + starts[right]) / 2 - frame_s <= label
        assert label <= (starts[left + 1] + starts[right + 1]) / 2 + frame_s
    assert (shown[0], shown[-1]) == (0, len(starts) - 2)
    wanted = int((starts[-1] + 1e-6) * 2)
    assert len(media.frame_indexes) in (wanted, wanted + 1, wanted - 1)


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), lambda frame: frame),
        ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
        ((1, 0, 0, -1), lambda frame: frame[::-1]),
        ((-1, 0, 0, -1), lambda frame: frame[::-1, ::-1]),
        ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
        ((0, -1, 1, 0), lambda frame: np.rot90(frame, 1)),
        ((0, 1, 1, 0), lambda frame: frame.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda frame: np.rot90(frame, 2).transpose(1, 0, 2)),
    ],
)
def test_turned_and_mirrored_clips_are_shown_as_players_do(
    matrix: tuple[int, int, int, int], upright: Callable[[np.ndarray], np.ndarray]
) -> None:
    media = prepare(turned(even_clip("mp4", 60, Fraction(30)), *matrix))
    for index, pixels in zip(media.frame_indexes, media.pixels, strict=True):
        expected = upright(numbered_frame(index)).transpose(2, 0, 1)
        assert np.abs(pixels.astype(int) - expected).mean() < 12
