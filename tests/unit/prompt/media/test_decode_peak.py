"""What a header promises; test_picture_peaks.py holds that decoding really takes no more."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from edge.prompt.media.decode_peak import decode_peak_bytes
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
        (avif("L", "4:0:0"), 1.22 + 0.55 + 1.5 + 3),
        (avif("RGB"), 1.5 * 1.22 + 0.55 + 4.5 + 3),
        (avif("RGB", "4:2:2"), 2 * 1.22 + 0.55 + 4.5 + 3),
        (avif("RGB", "4:4:4"), 3 * 1.22 + 0.55 + 4.5 + 3),
        (square("AVIF", speed=10, advanced={"film-grain-test": "1"}), 1.5 * 2.22 + 0.55 + 4.5 + 3),
    ],
)
def test_the_peak_is_known_from_the_header_and_the_file(data: bytes, bytes_a_pixel: float) -> None:
    peak = decode_peak_bytes(open_picture(data, label="x"))
    assert peak == round(bytes_a_pixel * SIDE * SIDE) + len(data)


def test_the_alpha_of_an_avif_has_a_decoder_of_its_own() -> None:
    picture = Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 4))
    data = encode(picture, "AVIF", speed=10)
    peak = decode_peak_bytes(open_picture(data, label="x"))
    assert peak == round((2.5 * 1.22 + 2 * 0.55 + 4 + 4.5) * SIDE * SIDE) + len(data)


def test_an_animated_avif_keeps_frames() -> None:
    picture = open_picture(animation("AVIF", [100, 100]), label="x")
    assert decode_peak_bytes(picture) > 25 * picture.width * picture.height


def test_tiles_are_put_together_in_a_copy() -> None:
    picture = open_picture(avif("RGB"), label="x")
    plain = decode_peak_bytes(picture)
    picture.fp = io.BytesIO(avif("RGB") + b"grid")  # type: ignore[attr-defined]  # a file's own
    assert decode_peak_bytes(picture) - plain == round(1.5 * SIDE * SIDE) + 4


def test_an_avif_that_says_it_is_small_is_planned_by_its_data() -> None:
    data = avif("RGB")
    at = data.index(b"ispe") + 8
    small = data[:at] + struct.pack(">II", 50, 40) + data[at + 8 :]
    picture = open_picture(small, label="x")
    assert picture.size == (50, 40)
    assert decode_peak_bytes(picture) > 2 * SIDE * SIDE


@pytest.mark.parametrize("file", [None, io.BytesIO(b"nothing"), io.BytesIO()])
def test_an_avif_that_cannot_be_looked_at_is_taken_for_the_largest_kind(file: io.BytesIO | None) -> None:
    picture = open_picture(avif("RGB"), label="x")
    picture.fp = file  # type: ignore[attr-defined]  # a file's own
    num_bytes = 0 if file is None else len(file.getvalue())
    assert decode_peak_bytes(picture) == round((6 * 2.22 + 0.55 + 4.5 + 3) * SIDE * SIDE) + num_bytes


def test_asking_copies_no_file() -> None:
    stream = io.BytesIO(square("BMP"))
    picture = Image.open(stream)
    before = stream.getvalue()
    decode_peak_bytes(picture)
    assert stream.getvalue() is before


def test_a_picture_made_by_a_program_has_no_file() -> None:
    assert decode_peak_bytes(Image.new("RGB", (SIDE, SIDE))) == 7_500_000


@pytest.mark.parametrize(
    ("mode", "told", "bytes_a_pixel"),
    [
        ("RGB", {"bit_depth": 8, "chroma": 420}, 12.0),
        ("RGBA", {"bit_depth": 10, "chroma": 420}, 12.0),
        ("L", {"bit_depth": 10}, 12.0),
        ("RGBA", {"bit_depth": 8, "chroma": 444}, 13.0),
        ("RGB", {"bit_depth": 10, "chroma": 422}, 16.0),
        ("RGBA", {"bit_depth": 12, "chroma": 444}, 21.0),
        ("RGBA", {}, 21.0),  # it was not told
    ],
)
def test_a_heic_is_planned_by_its_depth_and_colours(mode: str, told: dict[str, int], bytes_a_pixel: float) -> None:
    picture = Image.new(mode, (SIDE, SIDE))
    picture.format = "HEIF"
    picture.info.update(told)
    assert decode_peak_bytes(picture) == round(bytes_a_pixel * SIDE * SIDE)
