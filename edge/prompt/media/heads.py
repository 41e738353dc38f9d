"""Tell a video file by its first bytes, where nobody says what it is."""

from __future__ import annotations

import base64
import binascii

PICTURE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif", b"avif", b"avis")
"""What a file of the MP4 family says that is a picture."""


def is_video_head(head: bytes) -> bool:
    """Tell whether a file begins as a video does: MP4, QuickTime, Matroska, WebM, AVI, MPEG or FLV.

    Args:
        head: Its first bytes, at least 12.
    """
    if head[4:8] == b"ftyp":
        return head[8:12] not in PICTURE_BRANDS
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return is_avi or head[:4] in (b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV\x01")


def is_video_text(text: str) -> bool:
    """Tell the same of a file in base64, plain or as a data URL; False of what is neither."""
    start = text.find(",", 0, 200) + 1 if text[:5].lower() == "data:" else 0
    try:
        return is_video_head(base64.b64decode(text[start : start + 16], validate=True))
    except (binascii.Error, ValueError):
        return False
