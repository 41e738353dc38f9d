"""Write video clips whose frames carry their own number, with frames at any times."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edge.prompt.types import Pixels
from tests.prompt_parts import encode

SIDE = 64
BITS = 8
CLOCK = Fraction(1, 1000)


def numbered_frame(number: int) -> Pixels:
    """Draw a number as eight black and white stripes, the lowest bit on the left; the lower half is grey."""
    bits = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8) * 255
    frame = np.full((SIDE, SIDE, 3), 128, np.uint8)
    frame[: SIDE // 2] = np.repeat(bits, SIDE // BITS)[None, :, None]
    return frame


def read_number(planes: Pixels) -> int:
    """Read the number of an upright frame, (3, SIDE, SIDE)."""
    middle = planes[0, SIDE // 4, SIDE // BITS // 2 :: SIDE // BITS]
    return sum(1 << bit for bit, level in enumerate(middle) if level > 127)


def steps_to_times(steps_ms: Sequence[int]) -> list[float]:
    """Turn durations into the second at which each frame appears, and the end."""
    return [time / 1000 for time in accumulate(steps_ms, initial=0)]


def clip(suffix: str, steps_ms: Sequence[int], *, codec: str = "mpeg4", start_ms: int = 0, **options: str) -> bytes:
    """Encode numbered frames that are shown for the given milliseconds each."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=suffix) as container:
        stream: Any = container.add_stream(codec, rate=round(1000 / min(steps_ms)))  # Any: av's union of streams
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.options = "yuv420p", options
        stream.codec_context.time_base = CLOCK
        for number, start in enumerate(accumulate(steps_ms[:-1], initial=start_ms)):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            frame.pts, frame.time_base, frame.duration = start, CLOCK, steps_ms[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def even_clip(suffix: str, num_frames: int, rate: Fraction, *, codec: str = "mpeg4", **options: str) -> bytes:
    """Encode numbered frames at one rate, which the container states."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=suffix) as container:
        stream: Any = container.add_stream(codec, rate=rate)  # Any: as above
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.options = "yuv420p", options
        for number in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def streamed_clip(num_frames: int, rate: int) -> bytes:
    """Encode Matroska as into a pipe: without length and without index."""
    import av

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            super().__init__()
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:  # Any: a buffer
            self.data += data
            return len(data)

    pipe = Pipe()
    with av.open(pipe, "w", format="matroska") as container:
        stream: Any = container.add_stream("libx264", rate=rate)  # Any: as above
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for number in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")))
        container.mux(stream.encode())
    return bytes(pipe.data)


def turned(mp4: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """Put a display matrix into an mp4."""
    data = bytearray(mp4)
    start = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    data[start : start + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return bytes(data)


def trimmed(mp4: bytes, *, first_s: float, length_s: float, media_scale: int) -> bytes:
    """Trim an mp4 without encoding it again: change its edit list and stated durations."""
    data = bytearray(mp4)
    movie = data.index(b"mvhd") + 4
    scale = struct.unpack_from(">I", data, movie + 12)[0]
    struct.pack_into(">I", data, movie + 16, round(length_s * scale))
    struct.pack_into(">I", data, data.index(b"tkhd") + 4 + 20, round(length_s * scale))
    entry = data.index(b"elst") + 4 + 8
    media_time = struct.unpack_from(">i", data, entry + 4)[0]
    struct.pack_into(">Ii", data, entry, round(length_s * scale), media_time + round(first_s * media_scale))
    return bytes(data)


def media_scale(mp4: bytes) -> int:
    """Return the ticks a second of an mp4's only track."""
    scale: int = struct.unpack_from(">I", mp4, mp4.index(b"mdhd") + 4 + 12)[0]
    return scale


def animated(format_name: str, steps_ms: Sequence[int]) -> bytes:
    """Encode numbered frames as an animation."""
    frames = [Image.fromarray(numbered_frame(number)) for number in range(len(steps_ms))]
    lossless = {"lossless": True} if format_name == "WEBP" else {}
    return encode(frames[0], format_name, save_all=True, append_images=frames[1:], duration=list(steps_ms), **lossless)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
