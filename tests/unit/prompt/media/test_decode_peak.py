"""What a header promises; test_picture_peaks.py holds that decoding really takes no more."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from edge.prompt.media.decode_peak import AvifPlanes, decode_peak_bytes
from edge.prompt.media.picture import open_picture
from tests.prompt_parts import animation, encode

SIDE = 1000


def square(format_name: str, mode: str = "RGB", **options: object) -> bytes:
    return encode(Image.new(mode, (SIDE, SIDE)), format_name, **options)


def avif(mode: str, subsampling: str = "4:2:0") -> bytes:
    return square("AVIF", mode, subsampling=subsampling, speed=10)


@pytest.mark.parametrize(
    ("data", "bytes_a_pixel"),
    [
        (square("PNG"), 4.5 + 3),
        (square("JPEG"), 4.5 + 3),
        (square("JPEG", progressive=True), 4.5 + 3 * 2.1),
        (square("JPEG", "CMYK", progressive=True), 4.5 + 4 * 2.1),
        (square("JPEG2000", "RGBA"), 4.5 + 4 * 5.3),
        (square("WEBP"), 16.5),
        (square("BMP"), 4.5 + 3),
        (square("SGI"), 4.5 + 3),
        (avif("L", "4:0:0"), 2.22 + 0.55 + 1.5 + 3),
        (avif("RGB"), 1.5 * 2.22 + 0.55 + 4.5 + 3),
        (avif("RGB", "4:2:2"), 2 * 2.22 + 0.55 + 4.5 + 3),
        (avif("RGB", "4:4:4"), 3 * 2.22 + 0.55 + 4.5 + 3),
    ],
)
def test_the_peak_is_known_from_the_header_and_the_file(data: bytes, bytes_a_pixel: float) -> None:
    peak = decode_peak_bytes(open_picture(data, label="x"))
    assert peak == round(bytes_a_pixel * SIDE * SIDE) + len(data)


def test_the_alpha_of_an_avif_has_a_decoder_of_its_own() -> None:
    picture = Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 4))
    data = encode(picture, "AVIF", speed=10)
    peak = decode_peak_bytes(open_picture(data, label="x"))
    assert peak == round((2.5 * 2.22 + 2 * 0.55 + 4 + 4.5) * SIDE * SIDE) + len(data)


def test_ten_bits_of_an_avif_take_twice_the_planes() -> None:
    picture = open_picture(avif("RGB"), label="x")
    peaks = []
    for flags in (0x0C, 0x4C):
        picture.fp = io.BytesIO(b"av1C\x81\x00" + bytes([flags]) + b"\x00")  # type: ignore[attr-defined]  # a file's own
        peaks.append(decode_peak_bytes(picture))
    assert peaks[1] - peaks[0] == round(1.5 * 2.22 * SIDE * SIDE)


def test_an_animated_avif_keeps_frames() -> None:
    picture = open_picture(animation("AVIF", [100, 100]), label="x")
    assert decode_peak_bytes(picture) > 25 * picture.width * picture.height


@pytest.mark.parametrize(
    "file", [None, io.BytesIO(b"av1C\x81\x00\x0c"), io.BytesIO(), io.BytesIO(b"av1C\x81\x00\x0c\x00" * 1_000_000)]
)
def test_an_avif_that_cannot_be_looked_at_is_taken_for_the_largest_kind(file: io.BytesIO | None) -> None:
    picture = open_picture(avif("RGB"), label="x")
    picture.fp = file  # type: ignore[attr-defined]  # a file's own
    num_bytes = 0 if file is None else len(file.getvalue())
    assert decode_peak_bytes(picture) == round((6 * 2.22 + 0.55 + 4.5 + 3) * SIDE * SIDE) + num_bytes


@pytest.mark.parametrize(("flags", "num_samples"), [(0x1C, 1.0), (0x0C, 1.5), (0x08, 2.0), (0x00, 3.0)])
def test_a_configuration_tells_how_colours_are_thinned_out(flags: int, num_samples: float) -> None:
    assert AvifPlanes.from_box(bytes([0x81, 0, flags, 0])) == AvifPlanes(is_deep=False, num_samples=num_samples)
    assert AvifPlanes.from_box(bytes([0x81, 0, flags | 0x40, 0])).is_deep


def test_asking_copies_no_file() -> None:
    stream = io.BytesIO(square("BMP"))
    picture = Image.open(stream)
    before = stream.getvalue()
    decode_peak_bytes(picture)
    assert stream.getvalue() is before


def test_a_picture_made_by_a_program_has_no_file() -> None:
    assert decode_peak_bytes(Image.new("RGB", (SIDE, SIDE))) == 7_500_000
