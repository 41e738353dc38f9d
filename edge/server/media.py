"""The one door for pictures and videos that clients name.

In: messages of a protocol, already in OpenAI's shape. Out: the same messages with every source a data URL or the
bytes themselves, so that the engine opens no file and no address. Files lie below the media root, addresses are public.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.server.arguments import ServerOptions
from edge.server.errors import ApiError

Json = Any
MEDIA_KEYS = ("image", "image_url", "input_image", "video", "video_url", "input_video")


class MediaDoor:
    """Opens what messages name, as far as the server's options allow; callable on any thread."""

    def __init__(self, options: ServerOptions) -> None:
        self._root: Path | None = options.media_root
        self._is_remote_allowed = options.allows_remote_media
        self._max_media = options.limits.pictures

    def open_messages(self, messages: Sequence[Json]) -> list[Json]:
        """Return messages whose media are data.

        Raises:
            ApiError: A source may not be used, or there are too many.
        """
        return [self._open_message(message) for message in messages]

    def _open_message(self, message: Json) -> Json:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), list):
            return message
        return {**message, "content": [self._open_part(part) for part in message["content"]]}

    def _open_part(self, part: Json) -> Json:
        if not isinstance(part, Mapping):
            return part
        for key in MEDIA_KEYS:
            value = part.get(key)
            source = value.get("url") if isinstance(value, Mapping) else value
            if isinstance(source, str) and not source[:5].lower() == "data:":
                raise ApiError("invalid_request", f"{key}: expected a data URL.", code="media_not_allowed")
        return part
