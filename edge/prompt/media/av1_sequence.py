"""Find what the AV1 data of an AVIF hold: sizes, depths and colours of frames, which its boxes may tell otherwise.

In: the bytes of a file. Out: one `Sequence` for each sequence header, wherever items and tracks say that data begin.
Source: the AV1 bitstream specification 1.0.0, sections 5.3 to 5.5, and ISO/IEC 14496-12 (iloc, stco); written anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, pairwise

from edge.records import dataclass

FULL_BOXES = (b"meta",)
CONTAINERS = (b"meta", b"moov", b"trak", b"mdia", b"minf", b"stbl")
SEQUENCE_HEADER = 1
MAX_HEADER_BYTES = 1000
# Of a file: animations have a handful a frame.
MAX_UNITS = 100_000
MAX_BOXES = 10_000
MAX_PIXELS = 1 << 28  # the decoder's own limit
MAX_DEPTH = 8
SRGB_AS_IS = (1, 13, 0)  # primaries, transfer, matrix: red, green and blue are coded as they are, and not thinned out


@dataclass(frozen=True, slots=True)
class Sequence:
    """What a sequence header promises of its frames: none is larger or has more planes.

    Attributes:
        pixels: Of the largest frame.
        num_samples: Of a pixel, in all planes.
        is_deep: More than 8 bits a sample.
        has_grain: Film grain may be put onto a copy.
        is_grey: No colours: a grey picture, or alpha.
    """

    pixels: int
    num_samples: float
    is_deep: bool
    has_grain: bool
    is_grey: bool


HIDDEN = Sequence(pixels=MAX_PIXELS, num_samples=3.0, is_deep=True, has_grain=True, is_grey=False)
"""What is taken of a file whose places overlap or go on without end, as no program writes them."""


@dataclass(frozen=True, slots=True)
class _Place:
    data: memoryview
    is_whole: bool  # it ends where the data do


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int = 1) -> int:
        if count > self._left:
            raise EOFError
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def skip(self, *counts: int) -> None:
        for count in counts:
            self.take(count)


def sequences(data: bytes) -> list[Sequence]:
    """Read all sequence headers; data that are no AV1 have none."""
    found = []
    num_units = 0
    for place in _places(data):
        num_units += 1
        if place is None or num_units > MAX_UNITS:
            return [HIDDEN]
        for kind, first, last in _units(place):
            num_units += 1
            if num_units > MAX_UNITS:
                return [HIDDEN]
            if kind == SEQUENCE_HEADER:
                with suppress(EOFError):
                    found.append(read_sequence(bytes(place.data[first : min(last, first + MAX_HEADER_BYTES)])))
    return found


def read_sequence(header: bytes) -> Sequence:
    """Read a sequence header.

    Raises:
        EOFError: It is cut off.
    """
    bits = _Bits(header)
    profile, _, is_reduced = bits.take(3), bits.take(), bits.take()
    if is_reduced:
        bits.skip(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    pixels = (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)
    if not is_reduced and bits.take():
        bits.skip(4, 3)  # numbers of frames
    bits.skip(3)
    if not is_reduced:
        _skip_tools(bits)
    bits.skip(3)
    is_deep, num_samples, is_grey = _read_colours(bits, profile)
    return Sequence(
        pixels=pixels, num_samples=num_samples, is_deep=is_deep, has_grain=bool(bits.take()), is_grey=is_grey
    )


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = None
    if bits.take():  # times
        bits.skip(32, 32)
        if bits.take():  # a number of any length
            zeros = 0
            while not bits.take():
                zeros += 1
            bits.skip(zeros)
        if bits.take():
            delay_bits = bits.take(5) + 1
            bits.skip(32, 5, 5)
    has_delays = bits.take()
    for _ in range(bits.take(5) + 1):
        bits.skip(12)
        if bits.take(5) > 7:
            bits.skip(1)
        if delay_bits is not None and bits.take():
            bits.skip(delay_bits, delay_bits, 1)
        if has_delays and bits.take():
            bits.skip(4)


def _skip_tools(bits: _Bits) -> None:
    bits.skip(4)
    has_order = bits.take()
    if has_order:
        bits.skip(2)
    is_screen = bits.take() or bits.take()  # left to each frame, or said here
    if is_screen and not bits.take():
        bits.skip(1)
    if has_order:
        bits.skip(3)


def _read_colours(bits: _Bits, profile: int) -> tuple[bool, float, bool]:
    is_deep = bool(bits.take())
    is_twelve = profile == 2 and is_deep and bool(bits.take())
    is_grey = profile != 1 and bool(bits.take())
    description = (bits.take(8), bits.take(8), bits.take(8)) if bits.take() else None
    if is_grey:
        bits.skip(1)
        return is_deep, 1.0, True
    if description == SRGB_AS_IS:
        across, down = 0, 0
    else:
        bits.skip(1)
        across, down = ((1, 1), (0, 0), (1, 0))[min(profile, 2)]
        if is_twelve:
            across = bits.take()
            down = bits.take() if across else 0
        if across and down:
            bits.skip(2)
    bits.skip(1)
    return is_deep, 1 + 2 / ((1 + across) * (1 + down)), False


def _units(place: _Place) -> Iterator[tuple[int, int, int]]:
    """Walk the units of AV1 data as long as they are any; give kinds, and where each begins and ends."""
    data, start, end = place.data, 0, len(place.data)
    while start < end:
        head = data[start]
        if head & 0x81 and not place.is_whole:  # bits that are 0, though decoders do not ask for it
            return
        first = start + (2 if head & 4 else 1)
        last = end
        if head & 2:
            size, shift = 0, 0
            while first < end and shift < 56:
                byte = data[first]
                first += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
            last = first + size
        last = min(last, end)
        yield head >> 3 & 15, first, last
        start = max(last, start + 1)


def _places(data: bytes) -> Iterator[_Place | None]:
    """Give the data of items and the chunks of tracks; None where there are too many, or more than the file."""
    boxes = list(islice(_boxes(data, 0, len(data), 0), MAX_BOXES))
    if len(boxes) == MAX_BOXES:
        yield None
    inner = next((start for kind, start, _ in boxes if kind == b"idat"), 0)
    view = memoryview(data)
    num_bytes = 0
    chunks = {len(data)}
    for kind, start, end in boxes:
        if kind == b"iloc":
            for extents in _items(data[start:end], inner, len(data)):
                num_bytes += sum(max(0, last - first) for first, last in extents)
                if num_bytes > 2 * len(data):
                    yield None
                parts = [view[first:last] for first, last in extents]
                yield _Place(parts[0] if len(parts) == 1 else memoryview(b"".join(parts)), is_whole=True)
        elif kind in (b"stco", b"co64"):
            width = 4 if kind == b"stco" else 8
            chunks |= {
                int.from_bytes(data[at : at + width], "big")
                for at in range(start + 8, min(end, start + 8 + width * MAX_UNITS), width)
            }
    for first, last in pairwise(sorted(chunks)):
        yield _Place(view[first:last], is_whole=False)


def _items(box: bytes, inner: int, end: int) -> Iterator[list[tuple[int, int]]]:
    """Read where each item's extents begin and end."""
    if len(box) < 8:
        return
    version, sizes, more = box[0], box[4], box[5]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
    index_size = more & 15 if version else 0
    at = 6

    def take(size: int) -> int:  # what is cut off reads as 0
        nonlocal at
        at += size
        return int.from_bytes(box[at - size : at], "big")

    for _ in range(take(4 if version == 2 else 2)):
        take(4 if version == 2 else 2)
        is_inner = version > 0 and take(2) & 15 == 1
        take(2)
        if at >= len(box):
            return
        base = take(base_size) + (inner if is_inner else 0)
        extents = []
        for _ in range(min(take(2), len(box) - at)):
            take(index_size)
            start, length = base + take(offset_size), take(length_size)
            extents.append((start, min(end, start + length) if length else end))
        yield extents


def _boxes(data: bytes, start: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        first = start + 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, first)
            first += 8
        last = end if size == 0 else start + size
        if last < first or last > end:
            return
        yield kind, first, last
        if kind in CONTAINERS and depth < MAX_DEPTH:
            yield from _boxes(data, first + (4 if kind in FULL_BOXES else 0), last, depth + 1)
        start = last
