from __future__ import annotations

import struct
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge.errors import MediaError
from edge.prompt.media.opening import open_video
from tests.prompt_parts import write_video

pytest.importorskip("av")


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "avi"])
def test_containers_are_read_frame_by_frame(tmp_path: Path, suffix: str) -> None:
    video = open_video(write_video(tmp_path / f"a.{suffix}", num_frames=30, rate=10))
    assert (len(video.timeline.starts), video.timeline.rate, video.height, video.width) == (30, 10.0, 48, 64)
    assert [video.timeline.starts[index] for index in (0, 5, 29)] == pytest.approx([0.0, 0.5, 2.9])
    levels = [int(frame[-1, -1, 0]) for frame in video.read([0, 7, 29])]
    assert levels == pytest.approx([0, 28, 116], abs=6)
    video.close()


def test_bytes_and_open_files_are_read_like_paths(mp4: Path) -> None:
    data = mp4.read_bytes()
    with mp4.open("rb") as file:
        for source in (data, file, str(mp4)):
            with closing(open_video(source)) as video:
                assert len(video.timeline.starts) == 60


@pytest.mark.parametrize(
    ("matrix", "size", "red_corner"),
    [
        ((0, 1, -1, 0), (64, 48), (0, -1)),  # a quarter clockwise: upper left goes to upper right
        ((-1, 0, 0, -1), (48, 64), (-1, -1)),
        ((0, -1, 1, 0), (64, 48), (-1, 0)),
        ((-1, 0, 0, 1), (48, 64), (0, -1)),  # a mirror: left and right change places, nothing is turned
        ((1, 0, 0, -1), (48, 64), (-1, 0)),
        ((0, 1, 1, 0), (64, 48), (0, 0)),
        ((0, -1, -1, 0), (64, 48), (-1, -1)),
    ],
)
def test_turns_and_mirrors_in_the_file_are_applied(
    mp4: Path, matrix: tuple[int, int, int, int], size: tuple[int, int], red_corner: tuple[int, int]
) -> None:
    data = bytearray(mp4.read_bytes())
    start = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    video = open_video(bytes(data))
    assert (video.height, video.width) == size
    frame = next(iter(video.read(range(60))))
    red, green, _ = frame[red_corner]
    assert red > 150 > green


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_cut_off_video_is_an_error(tmp_path: Path, suffix: str, share: float) -> None:
    data = write_video(tmp_path / f"a.{suffix}").read_bytes()
    with pytest.raises(MediaError, match=r"cut off|not a video that can be opened") as caught:
        open_video(data[: int(len(data) * share)])
    assert "\n" not in str(caught.value)


def test_a_video_with_its_index_in_front_and_its_end_missing_is_an_error(tmp_path: Path) -> None:
    import av

    path = tmp_path / "front.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        generator = np.random.default_rng(0)
        for _ in range(40):
            noise = generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert len(open_video(data).timeline.starts) == 40
    with pytest.raises(MediaError, match=r"ends after \d+ of 40 frames"):
        open_video(data[: len(data) * 6 // 10])


def test_one_frame_is_counted(tmp_path: Path) -> None:
    with closing(open_video(write_video(tmp_path / "one.mp4", num_frames=1))) as video:
        assert len(video.timeline.starts) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"hello world " * 50,
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",  # a playlist may name other files
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_what_is_no_video_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="not a video that can be opened"):
        open_video(data)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match="no video stream"):
        open_video(path)


def test_without_pyav_the_extra_is_named(mp4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MediaError, match=r"pip install 'qwen3vl-edge\[video\]'"):
        open_video(mp4)
