"""Tell from a picture's header how much memory decoding it takes at its peak.

In: an opened picture that is not decoded yet. Out: bytes. All figures were measured with Pillow 11 to 13.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.prompt.media.av1_sequence import HIDDEN, Sequence, sequences

if TYPE_CHECKING:
    from PIL.Image import Image

# Bytes a pixel that decoding takes at its peak.
DECODING_BYTES = {"WEBP": 16.5, "QOI": 7.5, "TIFF": 8.5}
# Of a HEIC whose colours are thinned out both ways or that is grey, whatever its depth; with more colours, and those of
# more than 8 bits. libheif refuses data that have another depth than their header says.
HEIF_BYTES = 12.0
HEIF_FULL_BYTES = 13.0
HEIF_DEEP_BYTES = {3: 16.0, 4: 21.0}  # by bands
# Bytes of a band of a pixel, beside the pixel itself: a progressive JPEG's coefficients until the last scan, and the
# whole numbers that a JPEG 2000 is computed in.
PROGRESSIVE_BAND_BYTES = 2.1
JPEG2000_BAND_BYTES = 5.3
OTHER_BYTES = 4.5
RGB_BYTES = 3
# An AVIF's decoder stays until the picture is closed. It holds the planes, and a second time with film grain or where
# tiles are put together; of an animation eight references, and the frame that is decoded.
AVIF_ANIMATION_COPIES = 10
AVIF_TILES = b"grid"
# Beside those: borders and filter lines, a part of the planes; tables of blocks, bytes a pixel.
AVIF_BORDERS = 0.22
AVIF_TABLE_BYTES = 0.55


def decode_peak_bytes(picture: Image) -> int:
    """Tell from the header how much memory decoding a picture to RGB takes at its peak, its file's bytes among it."""
    pixels = picture.size[0] * picture.size[1]
    file_bytes = _num_file_bytes(picture)
    stored = 1.5 if picture.mode in ("1", "L", "P") else OTHER_BYTES
    decoding = DECODING_BYTES.get(picture.format or "", stored)
    num_bands = len(picture.getbands())
    if picture.format in ("JPEG", "MPO") and picture.info.get("progressive"):
        decoding = PROGRESSIVE_BAND_BYTES * num_bands + stored
    elif picture.format == "JPEG2000":
        decoding = JPEG2000_BAND_BYTES * num_bands + stored
    elif picture.format == "HEIF":
        decoding = _heif_bytes(picture)
    elif picture.format == "AVIF":
        # The decoder hands its pixels over in a copy, which goes once the picture is stored.
        handed = pixels * max(num_bands * 2, num_bands + stored, stored + RGB_BYTES)
        return round(_avif_decoder_bytes(picture) + handed) + file_bytes
    return round(pixels * max(decoding, stored + RGB_BYTES)) + file_bytes


def _heif_bytes(picture: Image) -> float:
    """Tell the bytes a pixel of a HEIC from what libheif reads in its header."""
    num_bands = len(picture.getbands())
    if num_bands < 3 or picture.info.get("chroma") == 420:
        return HEIF_BYTES
    return HEIF_FULL_BYTES if picture.info.get("bit_depth") == 8 else HEIF_DEEP_BYTES[num_bands]


def _avif_decoder_bytes(picture: Image) -> float:
    """Count what the decoders of colour and alpha hold; the most that any data in the file ask for."""
    stream = getattr(picture, "fp", None)
    data = stream.getvalue() if isinstance(stream, io.BytesIO) else b""
    pixels = picture.size[0] * picture.size[1]
    # What cannot be looked at is taken for the largest kind.
    found = sequences(data) or [replace(HIDDEN, pixels=pixels), replace(HIDDEN, pixels=pixels, is_grey=True)]
    is_animated = getattr(picture, "n_frames", 1) > 1
    copies = AVIF_ANIMATION_COPIES if is_animated else 1 + (AVIF_TILES in data)
    alpha = [one for one in found if one.is_grey] if "A" in picture.getbands() else []
    held = sum(max(_sequence_bytes(one, copies, pixels) for one in part) for part in (found, alpha) if part)
    # An animation's frame is still with its reader while the next one is decoded.
    return held + RGB_BYTES * pixels if is_animated else held


def _sequence_bytes(sequence: Sequence, copies: int, pixels: int) -> float:
    """Count what a decoder of this sequence holds for a picture of so many pixels, tiles put together."""
    planes = sequence.num_samples * (2 if sequence.is_deep else 1)
    return max(sequence.pixels, pixels) * (planes * (copies + sequence.has_grain + AVIF_BORDERS) + AVIF_TABLE_BYTES)


def _num_file_bytes(picture: Image) -> int:
    """Count the bytes that are held of a picture's file; none for a picture made by a program."""
    stream = getattr(picture, "fp", None)
    if not isinstance(stream, io.BytesIO):
        return 0
    # Not by getbuffer, which copies a file that is shared.
    position = stream.tell()
    num_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return num_bytes
