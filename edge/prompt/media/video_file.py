"""Read video files with PyAV (the extra `video`), one frame at a time.

In: an open file. Out: a frame source. The first pass counts packets without decoding; the second decodes in order
and gives only the wanted frames. ffmpeg may open neither addresses nor other files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from edge.errors import MediaError
from edge.prompt.media.frames import FrameCountError
from edge.prompt.types import Pixels

# Containers of self-contained files: no playlists, no image sequences, no scripts.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,av1,ivf,obu,y4m,dv,mxf"
MAX_FRAME_PIXELS = 1 << 26
# A file of these formats whose packets end this long before its stated duration is cut off.
EXACT_DURATIONS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
MISSING_TAIL = 0.01
MISSING_TAIL_S = 0.25


class VideoFile:
    """A video file before sampling."""

    is_chosen = False

    def __init__(self, file: BinaryIO, label: str) -> None:
        self.label, self._file = label, file
        try:
            self._inspect()
        except BaseException:
            file.close()
            raise

    def times_s(self, indexes: Sequence[int]) -> list[float]:
        """Give index / rate, which is what the model was trained with, also where frames are not evenly spaced."""
        return [index / self.frame_rate for index in indexes]

    def read(self, indexes: Sequence[int]) -> Iterator[Pixels]:
        """Decode to the end and give the wanted frames.

        Raises:
            MediaError: A wanted frame is damaged, or decoding fails.
            FrameCountError: There are fewer or more frames than were counted.
        """
        wanted = set(indexes)
        found = 0
        for frame in self._decode():
            if found in wanted:
                if frame.is_corrupt:
                    raise self._broken(f"frame {found} is damaged")
                yield _frame_to_rgb(frame)
            found += 1
        if found != self.num_frames:
            raise FrameCountError(found)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _inspect(self) -> None:
        with self._open() as container:
            stream = self._video_stream(container)
            rate = stream.average_rate or stream.guessed_rate
            promised = int(stream.frames)
            counted, end_s = _count_packets(container, stream.index)
            is_exact = bool(container.duration) and container.format.name in EXACT_DURATIONS
            duration_s = container.duration / 1e6 if is_exact else 0.0
        if counted == 0:
            raise self._broken("it has no frames")
        if counted < promised or end_s < duration_s * (1 - MISSING_TAIL) - MISSING_TAIL_S:
            raise self._broken(f"it ends after {counted} of {promised or 'its'} frames")
        if not rate:
            raise MediaError(f"{self.label}: the video names no frame rate. Convert it, or pass a list of frames.")
        self.num_frames, self.frame_rate = counted, float(rate)
        first = next(self._decode(), None)
        if first is None:
            raise self._broken("no frame can be decoded")
        rows, columns = first.height, first.width
        if rows * columns > MAX_FRAME_PIXELS:
            raise MediaError(f"{self.label}: frames of {columns}x{rows} pixels are too large. Make the video smaller.")
        is_sideways = first.rotation % 180 != 0
        self.height, self.width = (columns, rows) if is_sideways else (rows, columns)

    def _decode(self) -> Iterator[Any]:  # Any: av.VideoFrame, not imported before it is needed
        from av.error import FFmpegError

        with self._open() as container:
            stream = self._video_stream(container)
            stream.thread_type = "AUTO"
            try:
                yield from container.decode(stream)
            except FFmpegError as error:
                raise self._broken(_reason(error)) from None

    def _open(self) -> Any:  # Any: av.container.InputContainer, as above
        try:
            import av
            from av.error import FFmpegError
        except ImportError:
            raise MediaError(
                f"{self.label}: reading video files needs PyAV, which is not installed. "
                "Install it with: pip install 'qwen3vl-edge[video]'"
            ) from None
        self._file.seek(0)
        options = {"format_whitelist": FORMATS, "protocol_whitelist": ""}
        try:
            return av.open(self._file, mode="r", metadata_errors="replace", options=options)
        except (FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{self.label}: not a video that can be opened ({_reason(error)}). "
                "If it is a picture, pass it as an image; otherwise download or convert it again."
            ) from None

    def _video_stream(self, container: Any) -> Any:  # Any: av types, as above
        streams = [stream for stream in container.streams.video if "attached_pic" not in str(stream.disposition)]
        if not streams:
            raise MediaError(f"{self.label}: has no video stream, so it is no video, or cut off. Check the file.")
        return streams[0]

    def _broken(self, reason: str) -> MediaError:
        return MediaError(f"{self.label}: the video is broken or cut off ({reason}). Save or download it again.")


def _count_packets(container: Any, stream_index: int) -> tuple[int, float]:  # Any: av types, as above
    """Count the video's frames, and find where the last packet of any stream ends, in seconds."""
    from av.error import FFmpegError

    counted, end_s = 0, 0.0
    start_s = (container.start_time or 0) / 1e6
    try:
        for packet in container.demux():
            if packet.size and packet.stream.index == stream_index and not packet.is_discard:
                counted += 1
            if packet.pts is not None and packet.time_base:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - start_s)
    except FFmpegError:
        pass  # a broken tail: the counts say so
    return counted, end_s


def _frame_to_rgb(frame: Any) -> Pixels:  # Any: av.VideoFrame, as above
    rgb: Pixels = frame.to_ndarray(format="rgb24")
    # Phones store upright videos sideways, with the angle counterclockwise.
    return np.ascontiguousarray(np.rot90(rgb, k=round(frame.rotation / 90) % 4))


def _reason(error: Exception) -> str:
    """Say what ffmpeg found, without its numbers and internal names."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:160]
