"""Sequence headers are found wherever they lie, and no broken file breaks the search."""

from __future__ import annotations

import random
import struct
import time

import numpy as np
import pytest
from PIL import Image

from edge.prompt.media.av1_sequence import HIDDEN, Sequence, read_sequence, sequences
from tests.prompt_parts import animation, encode

HEIGHT, WIDTH = 40, 70


def written(mode: str = "RGB", **options: object) -> bytes:
    colour = (1, 2, 3, 4)[: len(mode)] if len(mode) > 1 else 1
    return encode(Image.new(mode, (WIDTH, HEIGHT), colour), "AVIF", speed=10, **options)


def sequence(num_samples: float, *, has_grain: bool = False) -> Sequence:
    return Sequence(
        pixels=HEIGHT * WIDTH, num_samples=num_samples, is_deep=False, has_grain=has_grain, is_grey=num_samples == 1
    )


def header(*fields: tuple[int, int]) -> bytes:
    """Write fields of a value and a number of bits."""
    bits = "".join(f"{value:0{count}b}" for value, count in fields)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


STILL = ((1, 1), (1, 1), (0, 5))  # one frame, with a short header
SIZE = ((3, 4), (4, 4), (15, 4), (31, 5))  # 16 x 32
STILL_TOOLS = ((0, 3), (0, 3))
COLOURS = ((0, 1), (0, 1), (1, 1), (0, 1), (0, 1))
HEADER = header((1, 3), *STILL, *SIZE, *STILL_TOOLS, *COLOURS)
UNIT = bytes([0x0A, len(HEADER)]) + HEADER


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (written(), [sequence(1.5)]),
        (written(subsampling="4:2:2"), [sequence(2)]),
        (written(subsampling="4:4:4"), [sequence(3)]),
        (written("L"), [sequence(1)]),
        (written("RGBA"), [sequence(1.5), sequence(1)]),
        (written(advanced={"film-grain-test": "1"}), [sequence(1.5, has_grain=True)]),
    ],
)
def test_what_was_written_is_found(data: bytes, found: list[Sequence]) -> None:
    assert sequences(data) == found


def test_an_animation_has_it_in_its_track() -> None:
    data = animation("AVIF", [100, 100])
    found = sequences(data.replace(b"iloc", b"free"))
    assert found
    assert {one.pixels for one in found} == {40 * 50}


@pytest.mark.parametrize(
    ("profile", "colours", "num_samples", "is_deep"),
    [
        (0, ((1, 1), (0, 1), (0, 1), (1, 1), (0, 2), (0, 1)), 1.5, True),  # ten bits
        (1, ((0, 1), (0, 1), (1, 1), (0, 1)), 3.0, False),
        (2, ((0, 1), (0, 1), (0, 1), (1, 1), (0, 1)), 2.0, False),
        (2, ((1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1)), 3.0, True),  # twelve bits, nothing thinned out
        (2, ((1, 1), (1, 1), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1), (0, 2), (0, 1)), 1.5, True),
        (1, ((0, 1), (1, 1), (1, 8), (13, 8), (0, 8), (0, 1)), 3.0, False),  # red, green and blue as they are
        (0, ((1, 1), (1, 1), (0, 1), (1, 1)), 1.0, True),
    ],
)
@pytest.mark.parametrize("grain", [0, 1])
def test_every_kind_of_colours_is_read(
    profile: int, colours: tuple[tuple[int, int], ...], num_samples: float, is_deep: bool, grain: int
) -> None:
    found = read_sequence(header((profile, 3), *STILL, *SIZE, *STILL_TOOLS, *colours, (grain, 1)))
    assert (found.pixels, found.num_samples, found.is_deep) == (16 * 32, num_samples, is_deep)
    assert (found.is_grey, found.has_grain) == (num_samples == 1, bool(grain))


def test_a_long_header_with_times_and_delays_is_read() -> None:
    times = ((1, 1), (1, 32), (30, 32), (1, 1), (1, 3), (2, 2), (1, 1), (9, 5), (1, 32), (9, 5), (9, 5))
    points = ((1, 1), (1, 5), (0, 12), (9, 5), (1, 1), (1, 1), (0, 10), (0, 10), (0, 1), (1, 1), (3, 4))
    second = ((0, 12), (3, 5), (0, 1), (0, 1))
    tools = ((1, 1), (0, 4), (0, 3), (0, 3), (0, 4), (1, 1), (0, 2), (0, 1), (1, 1), (0, 1), (0, 1), (6, 3), (0, 3))
    colours = ((0, 1), (0, 1), (0, 1), (1, 1), (0, 2), (0, 1), (1, 1))
    found = read_sequence(header((0, 3), (0, 1), (0, 1), *times, *points, *second, *SIZE, *tools, *colours))
    assert found == Sequence(pixels=16 * 32, num_samples=1.5, is_deep=False, has_grain=True, is_grey=False)


def test_a_header_that_is_cut_off_is_an_end() -> None:
    with pytest.raises(EOFError):
        read_sequence(header((0, 3), *STILL, *SIZE))


def test_data_in_two_parts_and_with_bits_that_should_be_0_are_read() -> None:
    unit = bytes([UNIT[0] | 0x81]) + UNIT[1:]
    places = struct.pack(">BBBBBBHHHH", 0, 0, 0, 0, 0x44, 0, 1, 1, 0, 2)
    meta = 8 + 4 + 8 + len(places) + 16
    places += struct.pack(">IIII", meta + 8, 5, meta + 8 + 5, len(unit) - 5)
    data = box(b"meta", bytes(4) + box(b"iloc", places)) + box(b"mdat", unit)
    assert [(one.pixels, one.num_samples) for one in sequences(data)] == [(16 * 32, 3.0)]


def items(count: int, start: int, length: int, version: int = 0) -> bytes:
    sizes = struct.pack(">BBBBBB", version, 0, 0, 0, 0x44, 0) + struct.pack(">I" if version == 2 else ">H", count)
    one = struct.pack(">IHHHII" if version == 2 else ">HHHII", *((1, 0) if version == 2 else (1,)), 0, 1, start, length)
    return box(b"meta", bytes(4) + box(b"iloc", sizes + one * count))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (items(1000, 0, 100_000) + bytes(100_000), [HIDDEN]),
        (items(1_000_000, 0, 0, version=2), [HIDDEN]),
        (box(b"free", b"") * 1_000_000, [HIDDEN]),
        (box(b"moov", box(b"stco", struct.pack(">II", 0, 2_000_000) + bytes(8_000_000))) + UNIT, []),
        (items(1, len(items(1, 0, 0)), 0) + UNIT * 300_000, [HIDDEN]),
        (box(b"moov", box(b"stco", struct.pack(">III", 0, 1, 28))) + UNIT * 300_000, [HIDDEN]),
    ],
    ids=["overlapping", "items", "boxes", "chunks", "units", "one-chunk"],
)
def test_files_without_end_are_looked_through_in_seconds(data: bytes, found: list[Sequence]) -> None:
    started = time.perf_counter()
    assert sequences(data) == found
    assert time.perf_counter() - started < 10


def test_units_without_end_are_taken_for_the_largest_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.prompt.media.av1_sequence.MAX_UNITS", 1)
    assert sequences(written("RGBA")) == [HIDDEN]


def test_broken_files_break_nothing() -> None:
    draw = random.Random(0)
    whole = [written("RGBA"), animation("AVIF", [100, 100])]
    for data in whole:
        for _ in range(500):
            broken = bytearray(data[: draw.choice([len(data), draw.randrange(len(data))])])
            for _ in range(draw.randrange(1, 6)):
                if broken:
                    broken[draw.randrange(len(broken))] = draw.randrange(256)
            sequences(bytes(broken))
    sequences(np.random.default_rng(0).bytes(100_000))
