"""Decode a picture into RGB as the reference sees it.

In: path, bytes, file object, data URL, PIL picture or numpy array. Out: (H, W, 3) uint8.
Source: transformers@v5.23.0 image_utils.py load_image (EXIF rotation) and image_transforms.py convert_to_rgb
(transparency goes onto white), differs in: limits, HEIC and premultiplied transparency, which goes onto white too.
What decoding takes is known from the header and bounded before it begins; conversion goes strip by strip.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import MediaError
from edge.prompt.media.decode_peak import RGB_BYTES, decode_peak_bytes
from edge.prompt.media.patches import check_sides
from edge.prompt.media.source import DATA_URL, is_base64, read_bytes, source_label
from edge.prompt.types import Pixels
from edge.units import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

# PIL's own hard limit (twice its warning limit); larger headers are decompression bombs or need shrinking first.
MAX_SOURCE_PIXELS = 178_956_970
# What PIL may try: no format that runs a program (EPS) or names other files.
QUICK_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM")
OTHER_FORMATS = ("WEBP", "TIFF", "AVIF", "MPO", "JPEG2000", "ICO", "TGA", "QOI", "DIB", "ICNS", "PCX", "SGI", "DDS")
MAX_DECODE_BYTES = 1_000_000_000
STRIP_PIXELS = 1 << 20
EXIF_ORIENTATION = 0x0112
# From this orientation on, rows and columns change places.
SIDEWAYS = 5
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif")
# Formats in which further frames are further times, not pages, previews or depth maps.
ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
# What PIL's decoders raise on broken files.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)

_LOG = logging.getLogger(__name__)


def load_image(source: object, *, label: str = "image", allow_files: bool = True) -> Pixels:
    """Decode one picture.

    Args:
        source: Path, file or data URL, bytes, binary file object, PIL picture, or uint8 array (H, W[, 1 to 4]).
        label: Name for messages when the source has none.
        allow_files: Refuse paths when False.

    Returns:
        (H, W, 3) uint8, rotated as its EXIF says, transparency on white.

    Raises:
        MediaError: It cannot be read or decoded, is animated or has pages, is empty, too large or too narrow.
    """
    return decode_still(open_still(source, label=label, allow_files=allow_files), source_label(source, label))


def open_still(source: object, *, label: str, allow_files: bool = True) -> Image:
    """Open a picture of one frame without decoding it, and check its size.

    Raises:
        MediaError: As `load_image`.
    """
    label = source_label(source, label)
    picture = open_picture(source, label=label, allow_files=allow_files)
    if picture.format == "TIFF" and _has_second_page(picture, label):
        raise MediaError(f"{label}: has several pages, expected one. Save the pages as pictures and pass those.")
    frames = count_frames(picture, label) if picture.format in ANIMATED_FORMATS else 1
    if frames > 1:
        raise MediaError(f"{label}: is animated ({frames} frames), expected a still picture. Pass it as a video.")
    return picture


def decode_still(picture: Image, label: str) -> Pixels:
    """Decode an opened picture to (H, W, 3) uint8, rotated as its EXIF says, transparency on white.

    Raises:
        MediaError: It is broken.
    """
    try:
        picture.load()  # first, because a second try at a broken file can pass
        return picture_to_rgb(picture, orientation=_orientation(picture, label))
    except DECODER_ERRORS as error:
        raise broken_picture(label, error) from None


def open_picture(source: object, *, label: str, allow_files: bool = True) -> Image:
    """Open a picture without decoding it, and check its size.

    Raises:
        MediaError: As `load_image`.
    """
    # PIL takes 40 ms to import: not before there is a picture.
    from PIL import Image

    if isinstance(source, np.ndarray):
        picture = _from_array(source, label)
    elif isinstance(source, Image.Image):
        picture = source
    else:
        picture = _open_bytes(read_bytes(source, label=label, allow_files=allow_files), label)
    width, height = picture.size
    if width * height > MAX_SOURCE_PIXELS:
        raise MediaError(
            f"{label}: {width}x{height} pixels are more than the {MAX_SOURCE_PIXELS} allowed. Make it smaller first."
        )
    if decode_peak_bytes(picture) > MAX_DECODE_BYTES:
        raise MediaError(
            f"{label}: {width}x{height} pixels of {picture.format or 'a picture'} take "
            f"{decode_peak_bytes(picture) / 1e9:.1f} GB to decode, at most {MAX_DECODE_BYTES / 1e9:.1f} GB are taken. "
            "Make it smaller first."
        )
    try:
        check_sides(height, width)
    except MediaError as error:
        raise MediaError(f"{label}: {error}") from None
    return picture


def count_frames(picture: Image, label: str) -> int:
    """Count frames or pages.

    Raises:
        MediaError: The file is broken.
    """
    try:
        return int(getattr(picture, "n_frames", 1))
    except DECODER_ERRORS as error:
        raise broken_picture(label, error) from None


def picture_to_rgb(picture: Image, *, orientation: int = 1) -> Pixels:
    """Convert a PIL picture of any mode to (H, W, 3) uint8; transparency goes onto white.

    Args:
        picture: Decoded picture.
        orientation: How to turn and mirror it, as EXIF numbers that.

    Raises:
        ValueError: PIL cannot convert the mode; like all of DECODER_ERRORS, for the caller to name.
    """
    width, height = picture.size if orientation < SIDEWAYS else picture.size[::-1]
    planes = np.empty((RGB_BYTES, height, width), np.uint8)
    rows = max(1, STRIP_PIXELS // max(1, width))
    is_clipped = False
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        strip = _strip(picture, orientation, top, bottom)
        is_clipped = is_clipped or (strip.mode[0] in "IF" and bool(np.asarray(strip).max() > 255))
        planes[:, top:bottom] = _strip_to_rgb(strip).transpose(2, 0, 1)
    if is_clipped:
        # A reference quirk: PIL clips, it does not scale.
        _LOG.warning(
            "A picture of more than 8 bits per value loses all that is brighter than 255. Save it with 8 bits."
        )
    return planes.transpose(1, 2, 0)


def broken_picture(label: str, error: BaseException) -> MediaError:
    """Say that a picture cannot be decoded."""
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return MediaError(f"{label}: the picture is broken or cut off ({reason}). Save or download it again.")


def _strip(picture: Image, orientation: int, top: int, bottom: int) -> Image:
    """Cut some rows out of a picture as they lie after turning it."""
    from PIL.Image import Transpose

    width, height = picture.size
    if orientation in (5, 6):
        box = (top, 0, bottom, height)
    elif orientation in (7, 8):
        box = (width - bottom, 0, width - top, height)
    elif orientation in (3, 4):
        box = (0, height - bottom, width, height - top)
    else:
        box = (0, top, width, bottom)
    strip = picture if box == (0, 0, width, height) else picture.crop(box)
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return strip.transpose(turns[orientation]) if orientation in turns else strip


def _strip_to_rgb(picture: Image) -> Pixels:
    from PIL import Image

    if picture.mode in ("La", "RGBa"):  # premultiplied, which PIL converts one way only
        picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
    if "A" in picture.getbands() or picture.info.get("transparency") is not None:
        picture = picture.convert("RGBA")
        background = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(background, picture)
    return np.asarray(picture.convert("RGB"))


def _has_second_page(picture: Image, label: str) -> bool:
    """Look for one more page; counting would walk a chain of any length."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    except DECODER_ERRORS as error:
        raise broken_picture(label, error) from None
    finally:
        picture.seek(0)
    return True


def _open_bytes(data: bytes, label: str) -> Image:
    from PIL import Image, UnidentifiedImageError

    # Our own limit is checked below; PIL would print a warning at half of it.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    # Damaged metadata beside a picture; damage of the picture itself is an error.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    if data[4:8] == b"ftyp" and (data[8:12] in HEIF_BRANDS) and b"avif" not in data[8:64]:
        return _open_heif(data, label)
    try:
        try:
            return Image.open(io.BytesIO(data), formats=QUICK_FORMATS)
        except UnidentifiedImageError:
            Image.init()
            known = [name for name in OTHER_FORMATS if name in Image.OPEN]
            return Image.open(io.BytesIO(data), formats=known)
    except UnidentifiedImageError:
        if is_base64(data):
            raise MediaError(f"{label}: looks like base64. Decode it, or give a data URL ({DATA_URL}).") from None
        raise MediaError(
            f"{label}: not a picture in a known format ({len(data)} bytes starting {data[:8]!r}). "
            "Known: PNG, JPEG, WebP, GIF, HEIC, AVIF, BMP, TIFF. Videos are passed as a video."
        ) from None
    except Image.DecompressionBombError:
        raise MediaError(
            f"{label}: has more than the {MAX_SOURCE_PIXELS} pixels allowed. Make it smaller first."
        ) from None
    except DECODER_ERRORS as error:
        raise broken_picture(label, error) from None


def _open_heif(data: bytes, label: str) -> Image:
    from pillow_heif import HeifImageFile

    try:
        picture: Image = HeifImageFile(io.BytesIO(data))  # type: ignore[no-untyped-call]  # the package has no types
    except DECODER_ERRORS as error:
        raise broken_picture(label, error) from None
    return picture


def _orientation(picture: Image, label: str) -> int:
    try:
        found = picture.getexif().get(EXIF_ORIENTATION, 1)
    except DECODER_ERRORS as error:
        _LOG.warning("%s: its EXIF data are broken (%s); the picture is taken as it lies.", label, one_line(str(error)))
        return 1
    return found if found in range(1, 9) else 1


def _from_array(array: np.ndarray, label: str) -> Image:
    from PIL import Image

    is_plane = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    if array.dtype != np.uint8 or not (is_plane or (array.ndim == 3 and array.shape[2] in (2, 3, 4))):
        raise MediaError(
            f"{label}: an array should be uint8 with shape (H, W) or (H, W, 1 to 4), found {array.dtype} {array.shape}."
        )
    if 0 in array.shape:
        raise MediaError(f"{label}: the picture is empty, its array has shape {array.shape}.")
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if is_plane and array.ndim == 3 else array))
