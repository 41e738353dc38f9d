"""One talk on disk: a folder with `talk.jsonl`, which only grows, and copies of its pictures.

Lines of the file are objects with a `type`: `talk` (version, model), `message` (role, content, finish_reason), `cut`
(only the first `keep` messages stay), `settings` (what `/set` changed, and the system message). Reading them in order
gives the talk; a last line that was cut off, or a kind of a later version, is passed over.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from edge.chat.asking.looking import Source
from edge.chat.sessions.folder import append_private, make_private
from edge.chat.sessions.saved_media import copy_in, find_copy, stored_name
from edge.chat.sessions.transcript import now
from edge.errors import EdgeError, UsageError
from edge.records import dataclass

Message = dict[str, Any]  # Any: JSON, checked by edge.prompt
FILE = "talk.jsonl"
VERSION = 1


@dataclass(slots=True)
class SavedTalk:
    """What a talk's file says.

    Attributes:
        messages: Ready for a request: media are the paths of copies.
        settings: What was set last.
        model: What it was held with.
        names: What the user called each copy.
        missing: Names of pictures whose copies are gone.
        num_lost: Lines that no talk can have, left out.
    """

    messages: list[Message] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    num_lost: int = 0


class Session:
    """A talk that is being saved; its folder appears with the first message."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None
        self._is_own = False

    @property
    def name(self) -> str:
        """What the talk is called."""
        return self.folder.name

    @property
    def exists(self) -> bool:
        """Whether something was saved."""
        return (self.folder / FILE).exists()

    @property
    def is_begun(self) -> bool:
        """Whether this program saved something in it, or goes on with it."""
        return self._is_own and self.exists

    def begin(self, model: str) -> None:
        """Say which model answers, before the first message.

        Raises:
            OSError: The folder cannot be written.
        """
        self._claim()
        self.lock()
        self._add({"type": "talk", "version": VERSION, "model": model})

    def _claim(self) -> None:
        """Take a folder that nobody else has: another window may have begun a talk of this name since this one began.

        Raises:
            OSError: It cannot be made.
        """
        make_private(self.folder.parent)
        first, number = self.folder, 1
        while not self._is_own or not self.folder.is_dir():
            try:
                self.folder.mkdir(mode=0o700)
                self._is_own = True
            except FileExistsError:
                number += 1
                self.folder = first.with_name(f"{first.name}_{number}")
        make_private(self.folder)

    def lock(self) -> None:
        """Keep other programs from going on with the same talk at the same time.

        Raises:
            UsageError: One does already.
        """
        self._is_own = True
        if self._lock is not None:
            return
        import fcntl

        file = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            self._is_own = False
            raise UsageError(
                f"{self.name}: this talk is open in another window. Begin another with --session NAME."
            ) from None
        except OSError:
            os.close(file)  # a file system without locks
            return
        self._lock = file

    def close(self) -> None:
        """Let others go on with the talk."""
        if self._lock is not None:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = None

    def delete(self) -> None:
        """Delete the talk and the copies of its pictures.

        Raises:
            UsageError: It is open in another window.
            OSError: It cannot be deleted.
        """
        self.lock()
        try:
            shutil.rmtree(self.folder)
        finally:
            self.close()

    def copy_in(self, source: Source) -> Path:
        """Copy a picture or video beside the talk; see `copy_in`."""
        self._claim()
        return copy_in(source, self.folder)

    def add_message(self, message: Mapping[str, Any], *, names: Mapping[str, str], **details: Any) -> None:
        """Append a message; paths of copies become names within the talk.

        Raises:
            OSError: It cannot be written.
        """
        content = message.get("content")
        if isinstance(content, list):
            content = [_stored(part, names) for part in content]
        self._add({"type": "message", **message, "content": content, **details})

    def cut(self, keep: int) -> None:
        """Say that only the first messages stay.

        Raises:
            OSError: It cannot be written.
        """
        self._add({"type": "cut", "keep": keep})

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Say what is set now.

        Raises:
            OSError: It cannot be written.
        """
        self._add({"type": "settings", "settings": dict(settings)})

    def read(self) -> SavedTalk:
        """Read the talk.

        Raises:
            EdgeError: The file cannot be read or comes from a later version.
        """
        talk = SavedTalk()
        try:
            text = (self.folder / FILE).read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise EdgeError(f"{self.name}: the talk cannot be read ({error.strerror}).") from None
        for line in text.split("\n"):
            try:
                record = json.loads(line) if line.strip() else {}
            except (ValueError, RecursionError):  # cut off when the disk was full or the program was killed, or broken
                record = None
            if isinstance(record, dict):
                self._take(record, talk)
            else:
                talk.num_lost += 1
        return talk

    def _take(self, record: dict[str, Any], talk: SavedTalk) -> None:
        kind = record.get("type")
        if kind == "talk":
            version = record.get("version")
            if not isinstance(version, int) or version > VERSION:
                raise EdgeError(f"{self.name}: the talk was saved by a later version ({version}). Update edge.")
            talk.model = str(record.get("model"))
        elif kind == "cut" and isinstance(record.get("keep"), int):
            del talk.messages[max(0, record["keep"]) :]
        elif kind == "settings" and isinstance(record.get("settings"), dict):
            talk.settings = record["settings"]
        elif kind == "message" and not _is_message(record):
            talk.num_lost += 1
        elif kind == "message":
            kept = {key: record[key] for key in MESSAGE_KEYS if record.get(key) is not None}
            content = record.get("content")
            kept["content"] = [self._restored(part, talk) for part in content] if isinstance(content, list) else content
            talk.messages.append(kept)

    def _restored(self, part: Any, talk: SavedTalk) -> Any:  # Any: JSON
        """Put the path of a copy back into a part; a lost one becomes a line of text."""
        if not isinstance(part, dict) or part.get("type") not in ("image", "video"):
            return part
        kind = part["type"]
        path = find_copy(str(part.get(kind)), self.folder)
        name = str(part.get("name") or "picture")
        if path is None or not path.is_file():
            talk.missing.append(name)
            return {"type": "text", "text": f"[{kind} {name} is no longer there]"}
        talk.names[str(path)] = name
        return {**{key: value for key, value in part.items() if key != "name"}, kind: str(path)}

    def _add(self, record: Mapping[str, Any]) -> None:
        line = json.dumps({**record, "time": now()}, ensure_ascii=False, default=str)
        append_private(self.folder / FILE, line)


TALKERS = ("system", "user", "assistant", "tool")
PARTS = ("text", "image", "video")
MESSAGE_KEYS = ("role", "content", "reasoning_content", "tool_calls", "tool_call_id", "name")


def _is_message(record: Mapping[str, Any]) -> bool:
    """Tell whether a record can be asked with: one that cannot would let every further question fail."""
    content, calls = record.get("content"), record.get("tool_calls")
    parts = content if isinstance(content, list) else []
    return (
        record.get("role") in TALKERS
        and (content is None or isinstance(content, str | list))
        and all(isinstance(part, dict) and part.get("type") in PARTS for part in parts)
        and all(isinstance(part.get("text"), str) for part in parts if part["type"] == "text")
        and (calls is None or (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)))
        and all(isinstance(record.get(key, ""), str | None) for key in ("reasoning_content", "tool_call_id", "name"))
    )


def _stored(part: Any, names: Mapping[str, str]) -> Any:  # Any: JSON
    if not isinstance(part, dict) or part.get("type") not in ("image", "video"):
        return part
    kind = part["type"]
    source = part[kind]
    if not isinstance(source, str | Path):
        return {"type": kind, "name": "unsaved"}
    stored = stored_name(Path(source)) if str(source) in names and Path(source).parent.name == "media" else None
    return {**part, kind: stored, "name": names.get(str(source), "picture")}
