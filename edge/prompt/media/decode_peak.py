"""Tell from a picture's header how much memory decoding it takes at its peak.

In: an opened picture that is not decoded yet. Out: bytes. All figures were measured with Pillow 11 to 13.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from edge.records import dataclass

if TYPE_CHECKING:
    from PIL.Image import Image

# Bytes a pixel that decoding takes at its peak.
DECODING_BYTES = {"WEBP": 16.5, "HEIF": 12.0, "QOI": 7.5, "TIFF": 8.5}
# Bytes of a band of a pixel, beside the pixel itself: a progressive JPEG's coefficients until the last scan, and the
# whole numbers that a JPEG 2000 is computed in.
PROGRESSIVE_BAND_BYTES = 2.1
JPEG2000_BAND_BYTES = 5.3
OTHER_BYTES = 4.5
RGB_BYTES = 3
# An AVIF's decoder stays until the picture is closed. Of a still picture it holds the planes, and a copy of them with
# film grain or for tiles that are put together; of an animation eight references, the frame and its copy.
AVIF_STILL_COPIES = 2
AVIF_ANIMATION_COPIES = 11
# Beside those: borders and filter lines, a part of the planes; tables of blocks, bytes a pixel.
AVIF_BORDERS = 0.22
AVIF_TABLE_BYTES = 0.55
AVIF_CONFIGURATION = b"av1C"
AVIF_MOST_ITEMS = 512  # a file that names more is planned as the largest kind


@dataclass
class AvifPlanes:
    """What an AVIF's configuration box tells of one item: colour, or alpha alone."""

    is_deep: bool
    num_samples: float  # of a pixel, in all planes

    @classmethod
    def from_box(cls, box: bytes) -> AvifPlanes:
        """Read the third byte of a configuration: depth, whether grey, and how colours are thinned out."""
        flags = box[2]
        thinned = (1 + (flags >> 3 & 1)) * (1 + (flags >> 2 & 1))
        return cls(is_deep=bool(flags >> 6 & 1), num_samples=1.0 if flags >> 4 & 1 else 1 + 2 / thinned)

    def decoder_bytes(self, copies: int) -> float:
        """Count what a decoder of this item holds, in bytes a pixel."""
        return self.num_samples * (2 if self.is_deep else 1) * (copies + AVIF_BORDERS) + AVIF_TABLE_BYTES


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
    elif picture.format == "AVIF":
        # The decoder hands its pixels over in a copy, which goes once the picture is stored.
        decoding = _avif_decoder_bytes(picture) + max(num_bands * 2, num_bands + stored, stored + RGB_BYTES)
    return round(pixels * max(decoding, stored + RGB_BYTES)) + file_bytes


def _avif_decoder_bytes(picture: Image) -> float:
    """Count what the decoders of colour and alpha hold, in bytes a pixel; the most that any item of the file asks."""
    is_animated = getattr(picture, "n_frames", 1) > 1
    copies = AVIF_ANIMATION_COPIES if is_animated else AVIF_STILL_COPIES
    items = _avif_items(picture)
    alpha = [item for item in items if item.num_samples == 1] if "A" in picture.getbands() else []
    held = sum(max(item.decoder_bytes(copies) for item in part) for part in (items, alpha) if part)
    # An animation's frame is still with its reader while the next one is decoded.
    return held + RGB_BYTES if is_animated else held


def _avif_items(picture: Image) -> list[AvifPlanes]:
    """Read each configuration of an AVIF, wherever it lies; without one, or with too many, take the largest kinds."""
    stream = getattr(picture, "fp", None)
    data = stream.getvalue() if isinstance(stream, io.BytesIO) else b""
    found: list[AvifPlanes] = []
    at = data.find(AVIF_CONFIGURATION)
    while at >= 0 and len(found) < AVIF_MOST_ITEMS:
        box = data[at + 4 : at + 8]
        if len(box) == 4:
            found.append(AvifPlanes.from_box(box))
        at = data.find(AVIF_CONFIGURATION, at + 4)
    if 0 < len(found) < AVIF_MOST_ITEMS:
        return found
    return [AvifPlanes(is_deep=True, num_samples=3.0), AvifPlanes(is_deep=True, num_samples=1.0)]


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
