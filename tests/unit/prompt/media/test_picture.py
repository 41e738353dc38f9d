from __future__ import annotations

import base64
import contextlib
import io
import logging
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from edge.errors import MediaError
from edge.prompt.media.picture import load_image
from edge.prompt.types import Pixels
from tests.prompt_parts import animation, encode, formula_image

RGB = formula_image(20, 30, 3)


def rgba() -> Pixels:
    alpha = np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30, 1)
    return np.concatenate([RGB, alpha], axis=-1)


@pytest.mark.parametrize("format_name", ["PNG", "BMP", "TIFF", "PPM", "TGA"])
def test_lossless_formats_give_the_exact_pixels(format_name: str) -> None:
    assert np.array_equal(load_image(encode(Image.fromarray(RGB), format_name)), RGB)


def test_lossless_webp_gives_the_exact_pixels() -> None:
    assert np.array_equal(load_image(encode(Image.fromarray(RGB), "WEBP", lossless=True)), RGB)


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "JPEG2000"])
def test_lossy_formats_are_read(format_name: str) -> None:
    smooth = Image.fromarray(RGB).resize((90, 60))
    assert load_image(encode(smooth, format_name)).shape == (60, 90, 3)


def test_iphone_photos_are_read_upright() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    sideways = np.zeros((64, 96, 3), np.uint8)
    sideways[:, :48] = (255, 0, 0)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by a quarter: the red left half comes to the top
    file = pillow_heif.from_pillow(Image.fromarray(sideways))
    file.save(buffer, quality=-1, exif=exif.tobytes())
    upright = load_image(buffer.getvalue())
    assert upright.shape == (96, 64, 3)
    assert upright[5, 32, 0] > 200
    assert upright[90, 32, 0] < 60


def test_transparency_goes_onto_white_and_is_not_dropped() -> None:
    pixels = load_image(encode(Image.fromarray(rgba(), "RGBA"), "PNG"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    alpha = rgba()[:, :, 3:].astype(float) / 255
    assert np.abs(pixels - (RGB * alpha + 255 * (1 - alpha))).max() <= 1


def test_a_transparent_palette_colour_goes_onto_white() -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    pixels = load_image(encode(picture, "PNG", transparency=0))
    assert pixels[0, :2].tolist() == [[255, 255, 255], [200, 100, 50]]


def test_grey_transparency_goes_onto_white() -> None:
    picture = Image.merge("LA", [Image.new("L", (3, 3), 0), Image.new("L", (3, 3), 0)])
    assert np.all(load_image(encode(picture, "PNG")) == 255)


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBX", "RGBA", "RGBa", "LA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "PA", "La"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    base = Image.fromarray(rgba(), "RGBA")
    steps = {"La": ["LA", "La"], "LAB": [], "PA": ["LA"], "F": ["L", "F"], "I": ["L", "I"], "HSV": ["RGB", "HSV"]}
    for step in steps.get(mode, [mode]):
        base = base.convert(step)
    if mode in ("LAB", "PA"):
        base = Image.frombytes(mode, (30, 20), bytes(600 * (3 if mode == "LAB" else 2)))
    assert base.mode == mode
    pixels = load_image(base)
    assert pixels.shape == (20, 30, 3)
    assert pixels.dtype == np.uint8


def test_sixteen_bits_are_clipped_as_in_the_reference_and_said(caplog: pytest.LogCaptureFixture) -> None:
    deep = Image.fromarray(np.array([[0, 100, 300, 65535]], np.uint16))
    with caplog.at_level(logging.WARNING):
        pixels = load_image(encode(deep, "PNG"))
    assert pixels[0, :, 0].tolist() == [0, 100, 255, 255]
    assert "8 bits" in caplog.text


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_once(orientation: int, format_name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exact = {"lossless": True} if format_name == "WEBP" else {}
    turned = load_image(encode(Image.fromarray(RGB), format_name, exif=exif, **exact))
    turns = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB),
    }
    assert np.array_equal(turned, turns[orientation])


def test_arrays_and_pictures_need_no_file() -> None:
    assert np.array_equal(load_image(RGB), RGB)
    assert np.array_equal(load_image(Image.fromarray(RGB)), RGB)
    assert np.array_equal(load_image(RGB[:, :, :1]), np.repeat(RGB[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_picture_has_the_same_pixels_in_every_form(channels: int, tmp_path: Path) -> None:
    array = {1: RGB[:, :, :1], 2: rgba()[:, :, 2:], 3: RGB, 4: rgba()}[channels]
    picture = Image.fromarray(array[:, :, 0] if channels == 1 else array)
    data = encode(picture, "PNG")
    path = tmp_path / "A.PNG"
    path.write_bytes(data)
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    forms = [load_image(source) for source in (array, picture, data, io.BytesIO(data), path, path.as_uri(), url)]
    assert all(np.array_equal(form, forms[0]) for form in forms)


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros((2, 2, 5), np.uint8), np.zeros((0, 2, 3), np.uint8)])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(MediaError, match="array"):
        load_image(array)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_no_picture(format_name: str) -> None:
    with pytest.raises(MediaError, match=r"animated \(3 frames\).*Pass it as a video"):
        load_image(animation(format_name, [100, 100, 100]))


def test_a_still_gif_is_a_picture() -> None:
    assert load_image(animation("GIF", [100])).shape == (40, 50, 3)


def test_pages_are_not_dropped_silently() -> None:
    pages = [Image.new("RGB", (9, 9), level) for level in ("red", "blue")]
    with pytest.raises(MediaError, match="several pages"):
        load_image(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_cut_off_picture_is_an_error(format_name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), format_name)
    with pytest.raises(MediaError, match=r"broken or cut off|not a picture") as caught:
        load_image(data[: int(len(data) * share)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a", b"\0" * 99])
def test_what_is_no_picture_is_named(data: bytes) -> None:
    with pytest.raises(MediaError, match=r"broken or cut off|not a picture"):
        load_image(data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # PIL's, about odd but readable files
def test_damaged_pictures_never_raise_anything_else() -> None:
    generator = np.random.default_rng(1)
    originals = [encode(Image.fromarray(RGB), name) for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")]
    for _ in range(600):
        data = bytearray(originals[generator.integers(len(originals))])
        for place in generator.integers(0, len(data), 4):
            data[place] = generator.integers(256)
        with contextlib.suppress(MediaError):
            assert load_image(bytes(data)).dtype == np.uint8


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    for side, message in ((14000, "more than the"), (60000, "more than the")):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9)))
        with pytest.raises(MediaError, match=message):
            load_image(bomb + chunk(b"IEND", b""))


def test_the_path_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"cat\.png: not a picture"):
        load_image(path)


def test_narrow_pictures_are_refused_before_decoding() -> None:
    with pytest.raises(MediaError, match=r"image: The picture is 2010x10 pixels.*200 times"):
        load_image(encode(Image.new("L", (2010, 10)), "PNG"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_strips_give_the_same_pixels_as_the_whole(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(rgba(), "RGBA"), "PNG", exif=exif)
    whole = load_image(data)
    monkeypatch.setattr("edge.prompt.media.picture.STRIP_PIXELS", 70)
    assert np.array_equal(load_image(data), whole)


# A lossless WebP of 16383x10900 pixels in 34 bytes.
WEBP_BOMB = bytes.fromhex("524946461a000000574542505650384c0e0000002ffeffa40a071011fd0f4444ff03")


def square(format_name: str, side: int, **options: object) -> bytes:
    return encode(Image.new("L" if format_name == "PNG" else "RGB", (side, side)), format_name, **options)


def said_to_be(side: int, data: bytes, size: str) -> bytes:
    """The file of a square of 57 pixels whose header says another side; `size` packs height and width."""
    assert struct.pack(size, 57, 57) in data
    return data.replace(struct.pack(size, 57, 57), struct.pack(size, side, side))


@pytest.mark.parametrize(
    ("data", "gigabytes"),
    [
        (WEBP_BOMB, "2.9"),
        (said_to_be(10_000, square("JPEG", 57, progressive=True), ">HH"), "1.1"),
        (said_to_be(7_200, square("JPEG2000", 57), ">II"), "1.1"),
    ],
    ids=["webp", "progressive jpeg", "jpeg 2000"],
)
def test_what_takes_too_much_memory_to_decode_is_refused_by_its_header(data: bytes, gigabytes: str) -> None:
    tracemalloc.start()
    with pytest.raises(MediaError, match=rf"take {gigabytes} GB to decode, at most 1\.0 GB"):
        load_image(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_chain_of_pages_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [Image.new("L", (1, 1))] * 400
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    seeks: list[int] = []
    seek = TiffImageFile.seek

    def counted(self: TiffImageFile, frame: int) -> None:
        seeks.append(frame)
        seek(self, frame)

    monkeypatch.setattr(TiffImageFile, "seek", counted)
    with pytest.raises(MediaError, match="several pages"):
        load_image(data)
    assert max(seeks) == 1


@pytest.mark.parametrize("encoder", [base64.b64encode, base64.encodebytes])
def test_bytes_that_are_base64_text_are_told_as_such(encoder: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MediaError, match="looks like base64"):
        load_image(encoder(encode(Image.effect_noise((16, 16), 50), "PNG")))
