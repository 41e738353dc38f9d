"""The memory that decoding really takes stays within what the header promised, at the largest sizes that are taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from edge.prompt.media.picture import MAX_DECODE_BYTES, MAX_SOURCE_PIXELS

SLACK_BYTES = 40_000_000
"""Beside the pixels: a decoder's library and its tables, Python's own memory; 30 MB were measured."""

MEGAPIXELS = (178, 133, 95, 80, 60, 47, 30)
_WEBP = {"quality": 50, "method": 0}
_AVIF = {"speed": 10, "quality": 30}
KINDS: list[tuple[str, str, dict[str, Any]]] = [
    *(("PNG", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")),
    *(("JPEG", mode, {"progressive": slow}) for mode in ("RGB", "L", "CMYK") for slow in (False, True)),
    ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    *(("WEBP", mode, {**_WEBP, "lossless": exact}) for mode in ("RGB", "RGBA") for exact in (False, True)),
    *(("TIFF", "RGB", {"compression": how}) for how in ("raw", "tiff_adobe_deflate", "tiff_lzw", "packbits", "jpeg")),
    *(("TIFF", mode, {"compression": "tiff_lzw"}) for mode in ("L", "RGBA", "CMYK", "I;16", "1")),
    ("TIFF", "CMYK", {"compression": "raw"}),
    *((name, mode, {}) for name in ("BMP", "PPM", "TGA", "SGI") for mode in ("RGB", "L")),
    *((name, "RGB", {}) for name in ("PCX", "QOI", "DIB")),
    *(("JPEG2000", mode, {}) for mode in ("RGB", "RGBA", "L")),
    *(("AVIF", mode, _AVIF) for mode in ("RGB", "RGBA", "L")),
    *(("AVIF", mode, {**_AVIF, "subsampling": "4:4:4"}) for mode in ("RGB", "RGBA")),
    ("AVIF", "RGB", {**_AVIF, "subsampling": "4:2:2"}),
    ("AVIF", "RGB", {**_AVIF, "subsampling": "4:0:0"}),
    ("AVIF", "RGB", {**_AVIF, "advanced": {"film-grain-test": "1"}}),
    ("AVIF", "RGBA", {**_AVIF, "tile_rows": 3, "tile_cols": 3}),
    ("GIF", "P", {}),
    ("DDS", "RGBA", {}),
    ("ICNS", "RGBA", {}),
]
BANDS = {"L": 1, "P": 1, "1": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
STILL = """
import json, sys
import PIL.Image
from edge.errors import EdgeError
from edge.prompt.media import picture
from edge.prompt.media.decode_peak import decode_peak_bytes
from tests.peak_memory import peak_rss_bytes
PIL.Image.init()
before = peak_rss_bytes()
try:
    planned = decode_peak_bytes(picture.open_still(sys.argv[1], label="x"))
    picture.load_image(sys.argv[1])
    print(json.dumps({"planned": planned, "used": peak_rss_bytes() - before}))
except EdgeError as error:
    print(json.dumps({"refused": str(error), "used": peak_rss_bytes() - before}))
"""

ANIMATION = """
import json, sys
import PIL.Image
from edge.prompt.media.animation import Animation
from edge.prompt.media.decode_peak import decode_peak_bytes
from edge.prompt.media.picture import open_picture
from tests.peak_memory import peak_rss_bytes
PIL.Image.init()
before = peak_rss_bytes()
picture = open_picture(sys.argv[1], label="x")
planned = decode_peak_bytes(picture)
for _ in Animation(picture, "x").read(range(12)):
    pass
print(json.dumps({"planned": planned, "used": peak_rss_bytes() - before}))
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "mode", "options"), KINDS, ids=[f"{k}-{m}-{'-'.join(map(str, o.values()))}" for k, m, o in KINDS]
)
def test_peak_of_the_largest_picture_taken(tmp_path: Path, kind: str, mode: str, options: dict[str, Any]) -> None:
    for size in MEGAPIXELS:
        if kind == "JPEG2000" and size > 60:  # written with 30 bytes a pixel, for minutes
            continue
        path = tmp_path / f"x.{kind.lower()}"
        try:
            _write(path, kind, mode, options, size * 1_000_000)
        except OSError:  # PIL cannot write every kind as large as that
            continue
        said = _decode(path)
        if "planned" in said:
            assert said["used"] <= said["planned"] + SLACK_BYTES, (size, said)
            assert said["used"] <= MAX_DECODE_BYTES, (size, said)
            return
        assert said["used"] < 600_000_000, (size, said)  # the file itself, at most, was read
        assert "Make it smaller" in said["refused"], said
    pytest.fail("no size was taken")


@pytest.mark.long
def test_peak_of_an_avif_of_ten_bits(tmp_path: Path) -> None:
    path, width, height = tmp_path / "x.avif", 13_000, 4_600
    planes = np.full((height * 3 // 2, width), 600, np.uint16)
    planes[:256] = np.random.default_rng(0).integers(0, 1023, (256, width))
    with av.open(str(path), "w", format="avif") as file:
        stream = file.add_stream("libsvtav1", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        stream.options = {"preset": "12", "crf": "40", "svtav1-params": "avif=1"}
        file.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p10le")))
        file.mux(stream.encode(None))
    said = _decode(path)
    assert said["used"] <= said["planned"] + SLACK_BYTES, said
    assert said["planned"] <= MAX_DECODE_BYTES


@pytest.mark.long
@pytest.mark.parametrize("chroma", [420, 422, 444])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGB;16", "RGBA;16"])
def test_peak_of_a_heic(tmp_path: Path, mode: str, chroma: int) -> None:
    heif = pytest.importorskip("pillow_heif")
    path, width, height = tmp_path / "x.heic", 8_000, 5_700
    kind = np.uint16 if mode.endswith("16") else np.uint8
    rows = np.linspace(0, np.iinfo(kind).max, height, dtype=kind)
    values = np.broadcast_to(rows[:, None, None], (height, width, len(mode.partition(";")[0]))).copy()
    picture = heif.from_bytes(mode=mode, size=(width, height), data=values.tobytes())
    picture.save(path, quality=40, chroma=chroma, enc_params={"preset": "ultrafast"})
    said = _decode(path)
    assert said["used"] <= said["planned"] + SLACK_BYTES, said
    assert said["planned"] <= MAX_DECODE_BYTES


@pytest.mark.long
def test_peak_of_an_animated_avif(tmp_path: Path) -> None:
    path = tmp_path / "x.avif"
    values = np.full((3600, 5000, 3), 200, np.uint8)
    frames = []
    for frame in range(12):
        values[frame * 200 :][:256] = np.random.default_rng(frame).integers(0, 255, (256, 5000, 3))
        frames.append(Image.fromarray(values.copy()))
    frames[0].save(path, format="AVIF", save_all=True, append_images=frames[1:], duration=100, **_AVIF)
    said = _decode(path, ANIMATION)
    assert said["used"] <= said["planned"] + SLACK_BYTES, said
    assert said["planned"] > 15 * 3600 * 5000  # the references that its decoder keeps are among them


def _write(path: Path, kind: str, mode: str, options: dict[str, Any], pixels: int) -> None:
    """Write a picture whose first rows are noise, so that the file is not all of one colour, and cheap to write."""
    width = 16_000 if kind == "WEBP" else 13_000
    height = min(pixels, MAX_SOURCE_PIXELS) // width
    shape = (height, width) if BANDS[mode] == 1 else (height, width, BANDS[mode])
    values = np.full(shape, 200, np.uint16 if mode == "I;16" else np.uint8)
    values[:256] = np.random.default_rng(0).integers(0, 255, values[:256].shape)
    if mode in ("1", "P"):
        picture = Image.fromarray(values, "L").convert(mode)
    else:
        picture = Image.fromarray(values, None if mode == "I;16" else mode)
    picture.save(path, format=kind, **options)


def _decode(path: Path, program: str = STILL) -> dict[str, Any]:
    """Decode a file in a process of its own; return what it planned and used, or why it refused."""
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    path.unlink()
    assert done.returncode == 0, done.stderr[-500:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result
