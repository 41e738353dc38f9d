"""Read video files with PyAV (the extra `video`), one frame at a time.

In: an open file. Out: a frame source. The first pass reads packets without decoding and takes from them which frames
are shown and when; the second decodes in order and gives only the wanted frames. What decodes is true: where it
differs from the packets, it is taken. ffmpeg may open neither addresses nor other files.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np

from edge.errors import MediaError
from edge.prompt.media.frames import OtherFramesError, Timeline
from edge.prompt.types import Pixels
from edge.records import dataclass

# Containers of self-contained files: no playlists, no image sequences, no scripts.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,av1,ivf,obu,y4m,dv,mxf"
MAX_FRAME_PIXELS = 1 << 26
# A file of these formats whose packets end this long before its stated duration is cut off.
EXACT_DURATIONS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
MOV = EXACT_DURATIONS[1]
MISSING_TAIL = 0.01
MISSING_TAIL_S = 0.25
# What transformers assumes of a video that tells neither a rate nor times.
ASSUMED_RATE = 24.0

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Scan:
    """What the packets say: all of the video's, the times of those that are shown, and where the file ends."""

    num_packets: int = 0
    num_shown: int = 0
    times_s: list[float] = field(default_factory=list)
    durations_s: dict[float, float] = field(default_factory=dict)
    is_ordered: bool = True
    end_s: float = 0.0

    def timeline(self, rate: float) -> Timeline:
        """Make the timeline of the shown frames; without times of their own they follow the rate."""
        if self.num_shown != len(self.times_s) or not self.is_ordered:
            return Timeline.even(self.num_shown, rate)
        times = sorted(self.times_s)
        last = self.durations_s[times[-1]]
        return _relative(times, times[-1] + last if last else None, rate)


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

    def read(self, indexes: Sequence[int]) -> Iterator[Pixels]:
        """Decode to the end and give the wanted frames.

        Raises:
            MediaError: A wanted frame is damaged, or decoding fails.
            OtherFramesError: Other frames were decoded than the timeline has, or at other times.
        """
        wanted = set(indexes)
        times: list[float | None] = []
        found = 0
        for frame in self._decode():
            if found in wanted:
                if frame.is_corrupt:
                    raise self._broken(f"frame {found} is damaged")
                yield _frame_to_rgb(frame)
            times.append(None if frame.pts is None else float(frame.pts * frame.time_base))
            found += 1
        if found == 0:
            raise self._broken("no frame can be decoded")
        self._check_times(times)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_times(self, times: list[float | None]) -> None:
        """Compare what was decoded with what the packets promised."""
        known = [time for time in times if time is not None]
        is_usable = len(known) == len(times) and all(a < b for a, b in pairwise(known))
        found = _relative(known, None, self._rate) if is_usable else Timeline.even(len(times), self._rate)
        planned = self.timeline
        step = (planned.end - planned.starts[0]) / len(planned.starts)
        is_same = len(found.starts) == len(planned.starts)
        if is_usable and is_same:
            is_same = all(abs(a - b) <= step / 2 for a, b in zip(found.starts, planned.starts, strict=True))
        if not is_same:
            raise OtherFramesError(found)

    def _inspect(self) -> None:
        with self._open() as container:
            stream = self._video_stream(container)
            is_mov = container.format.name == MOV
            # Edit lists hide frames, which still lie in the file and in its index.
            promised = len(stream.index_entries) if is_mov else int(stream.frames)
            stated_rate = stream.average_rate or stream.guessed_rate
            scan = _scan_packets(container, stream.index)
            if not scan.times_s:
                # A bare stream: its own headers know the rate, the average is a guess of ffmpeg's.
                stated_rate = stream.guessed_rate or stated_rate
            is_exact = bool(container.duration) and container.format.name in EXACT_DURATIONS
            duration_s = container.duration / 1e6 if is_exact else 0.0
        if scan.num_packets == 0:
            raise self._broken("it has no frames")
        if scan.num_packets < promised or scan.end_s < duration_s * (1 - MISSING_TAIL) - MISSING_TAIL_S:
            raise self._broken(f"it ends after {scan.num_packets} of {promised or 'its'} frames")
        if scan.num_shown == 0:
            raise self._broken("its edit list shows no frame")
        self._rate = float(stated_rate) if stated_rate else ASSUMED_RATE
        self.timeline = scan.timeline(self._rate)
        if not stated_rate and not scan.times_s:
            _LOG.warning(
                "%s: tells neither a frame rate nor times; %g frames a second are taken.", self.label, self._rate
            )
        first = next(self._decode(), None)
        if first is None:
            raise self._broken("no frame can be decoded")
        rows, columns = first.height, first.width
        if rows * columns > MAX_FRAME_PIXELS:
            raise MediaError(f"{self.label}: frames of {columns}x{rows} pixels are too large. Make the video smaller.")
        is_sideways = _orientation(first)[0]
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


def _scan_packets(container: Any, stream_index: int) -> _Scan:  # Any: av types, as above
    """Read all packets, without decoding them."""
    from av.error import FFmpegError

    scan, last_dts = _Scan(), None
    # Some containers state where they end, others how long they are: the later end refuses neither.
    start_s = min(container.start_time or 0, 0) / 1e6
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base:
                scan.end_s = max(scan.end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - start_s)
            if not packet.size or packet.stream.index != stream_index:
                continue
            scan.num_packets += 1
            # Decoding times that step back are two recordings in one file: their times are not one timeline.
            scan.is_ordered = scan.is_ordered and (last_dts is None or packet.dts is None or packet.dts >= last_dts)
            last_dts = last_dts if packet.dts is None else packet.dts
            if not packet.is_discard:
                scan.num_shown += 1
                if packet.pts is not None and packet.time_base:
                    time_s = float(packet.pts * packet.time_base)
                    scan.times_s.append(time_s)
                    scan.durations_s[time_s] = float((packet.duration or 0) * packet.time_base)
    except FFmpegError:
        pass  # a broken tail: the counts say so
    return scan


def _relative(times_s: Sequence[float], end_s: float | None, rate: float) -> Timeline:
    """Count time from the first frame that is shown, as players do."""
    first = times_s[0]
    return Timeline.of([time - first for time in times_s], None if end_s is None else end_s - first, stated_rate=rate)


def _frame_to_rgb(frame: Any) -> Pixels:  # Any: av.VideoFrame, as above
    rgb: Pixels = frame.to_ndarray(format="rgb24")
    is_sideways, flips_columns, flips_rows = _orientation(frame)
    if is_sideways:
        rgb = rgb.transpose(1, 0, 2)
    return np.ascontiguousarray(rgb[:: -1 if flips_rows else 1, :: -1 if flips_columns else 1])


def _orientation(frame: Any) -> tuple[bool, bool, bool]:  # Any: av.VideoFrame, as above
    """Tell whether rows and columns change places, and which of them then run backwards.

    Phones store upright videos sideways, and front cameras mirrored; the matrix sends column p and row q of the
    stored frame to column a*p + c*q and row b*p + d*q.
    """
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return False, False, False
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side_data))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def _reason(error: Exception) -> str:
    """Say what ffmpeg found, without its numbers and internal names."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:160]
