"""Keep a talk on disk while it goes on; where that fails, say it once and go on without.

In: messages, settings and media of a talk. Out: its session, and the file of `--save`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.chat.asking.item import WaitingItem
from edge.chat.asking.looking import Source
from edge.chat.options import ChatOptions
from edge.chat.sessions.session import Message, SavedTalk, Session
from edge.chat.sessions.transcript import Transcript
from edge.errors import EdgeError

HELD_BYTES = 64 * 2**20
"""Pictures of a talk that is not saved are held in memory up to this size, as their files may change or go."""
SETTINGS = ("system", "max_tokens", "think", "stop", "sampling", "min_pixels", "max_pixels", "fps")


class TalkKeeper:
    """Saves one talk.

    Attributes:
        session: Where; None saves nothing.
        names: What the user calls each picture, by its path or the digest of its bytes.
    """

    def __init__(
        self, session: Session | None, *, transcript: Transcript | None = None, holds_pictures: bool = False
    ) -> None:
        """Begin.

        Args:
            session: Where; None saves nothing.
            transcript: A file that gets the messages too.
            holds_pictures: Whether pictures that are not copied to the disk are held in memory.
        """
        self.session = session
        self.names: dict[str, str] = {}
        self._name = session.name if session is not None else None
        self._holds_pictures = holds_pictures
        self._transcript = transcript
        self._has_failed = False

    @property
    def is_saving(self) -> bool:
        """Whether what is said is saved."""
        return self.session is not None and not self._has_failed

    def keep(self, message: Message, options: ChatOptions, model: str, **details: str) -> str | None:
        """Save a message; a line for the user if that failed for the first time."""
        session = self.session

        def save() -> None:
            assert session is not None, "called with a session only"
            if not session.is_begun:
                session.begin(model)
                session.add_settings(settings_of(options))
            session.add_message(message, names=self.names, **details)

        line = self._try(save) if session is not None else None
        line = self._renamed() or line
        if self._transcript is not None:
            try:
                if options.system and not self._transcript.path.exists():
                    self._transcript.add({"role": "system", "content": options.system})
                self._transcript.add({**message, **details})
            except EdgeError as error:
                self._transcript = None
                line = str(error)
        return line

    def keep_media(self, item: WaitingItem) -> tuple[Source, str | None]:
        """Copy a picture or video beside the talk.

        Returns:
            What to show the model: the copy, else the bytes of a picture, else the original; and a line if copying
            failed.
        """
        source = item.source.absolute() if isinstance(item.source, Path) else item.source
        line = None
        session = self.session
        if session is not None and not self._has_failed:
            copies: list[Path] = []
            line = self._try(lambda: copies.append(session.copy_in(source)))
            source = copies[0] if copies else source
            if copies:
                self.names[str(source)] = item.name
                return source, line
        if isinstance(source, Path) and item.kind == "image" and self._holds_pictures:
            source = _held(source)
        self.names[_key(source)] = item.name
        return source, line

    def _renamed(self) -> str | None:
        """Say once that the talk is called otherwise than was asked."""
        if self.session is None or self.session.name == self._name:
            return None
        asked, self._name = self._name, self.session.name
        return f"{asked} was begun in another window meanwhile; this talk is saved as {self._name}."

    def name_of(self, source: object, *, otherwise: str) -> str:
        """Return what the user calls a picture or video of the talk."""
        return self.names.get(_key(source), otherwise)

    def keep_settings(self, options: ChatOptions) -> None:
        """Save the settings of a talk that has begun."""
        session = self.session
        if session is not None and session.is_begun:
            self._try(lambda: session.add_settings(settings_of(options)))

    def cut(self, keep: int) -> None:
        """Save that only the first messages stay."""
        session = self.session
        if session is not None and session.is_begun:
            self._try(lambda: session.cut(keep))

    def go_on(self, talk: SavedTalk) -> None:
        """Take over the names of a talk that was read."""
        self.names |= talk.names

    def close(self) -> None:
        """Let others go on with the talk."""
        if self.session is not None:
            self.session.close()

    def _try(self, save: Callable[[], object]) -> str | None:
        if self._has_failed:
            return None
        try:
            save()
        except OSError as error:
            self._has_failed = True
            return f"From here on the talk is not saved ({error.strerror}); it goes on all the same."
        return None


def open_keeper(options: ChatOptions, *, is_talk: bool) -> tuple[TalkKeeper, SavedTalk | None]:
    """Open where a talk is saved, and read what was said before.

    Args:
        options: Names the talk, or asks for the last one.
        is_talk: Talks are saved unless that is switched off; single answers only if a talk is named.

    Raises:
        EdgeError: There is no such talk, it cannot be read, or is open elsewhere.
    """
    from edge.chat.sessions.store import find_session, last_session, new_session

    transcript = Transcript(options.save) if options.save else None
    session: Session | None = None
    if options.goes_on:
        session = last_session()
    elif options.session is not None:
        session = find_session(options.session) or new_session(options.session)
    elif is_talk and options.is_saved:
        session = new_session()
    keeper = TalkKeeper(session, transcript=transcript, holds_pictures=is_talk)
    if session is None or not session.exists:
        return keeper, None
    saved = session.read()
    session.lock()
    return keeper, saved


def _held(path: Path) -> Source:
    """Read a picture into memory; where that cannot be done, its path stays."""
    try:
        return path.read_bytes() if path.stat().st_size <= HELD_BYTES else path
    except OSError:
        return path


def _key(source: object) -> str:
    if isinstance(source, bytes):
        return f"sha256:{hashlib.sha256(source).hexdigest()}"
    return str(source) if len(str(source)) < 5000 else ""  # a data URL has no name


def settings_of(options: ChatOptions) -> dict[str, Any]:  # Any: JSON
    """Return the settings that belong to a talk, those that were set."""
    values = {name: getattr(options, name) for name in SETTINGS}
    return {name: value for name, value in values.items() if value not in (None, (), {}, "auto")}


def with_settings(options: ChatOptions, saved: dict[str, Any]) -> ChatOptions:
    """Take over a talk's settings where the command line gives none; unknown or wrong ones are left out."""
    from dataclasses import replace

    given = settings_of(options)
    taken = {name: value for name, value in saved.items() if name in SETTINGS and name not in given}
    if isinstance(taken.get("stop"), list):
        taken["stop"] = tuple(taken["stop"])
    if not isinstance(taken.get("sampling", {}), dict):
        del taken["sampling"]
    return replace(options, **taken)
