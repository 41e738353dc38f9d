"""Find talks on disk: the last one, one by name, all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from edge.chat.asking.message import text_of
from edge.chat.sessions.folder import sessions_folder
from edge.chat.sessions.session import FILE, Session
from edge.errors import EdgeError, UsageError
from edge.records import dataclass

_NAME = re.compile(r"[\w][\w .\-]{0,63}")
SHOWN_CHARACTERS = 50


@dataclass(frozen=True, slots=True)
class ListedTalk:
    """A talk for a list.

    Attributes:
        name: What it is called.
        changed: When something was said last.
        num_questions: Questions in it.
        first: The first question.
    """

    name: str
    changed: datetime
    num_questions: int
    first: str


def new_session(name: str | None = None) -> Session:
    """Name a folder for a new talk: by the time, or as asked.

    Raises:
        UsageError: The name cannot be a folder's, or is taken.
    """
    folder = sessions_folder()
    if name is not None:
        session = Session(folder / check_name(name))
        if session.exists:
            raise UsageError(f"{name}: there is a talk of that name. Choose another.")
        return session
    stem = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path, count = folder / stem, 1
    while path.exists():
        count += 1
        path = folder / f"{stem}_{count}"
    return Session(path)


def find_session(name: str) -> Session | None:
    """Find a talk by its name, or by the beginning of it if only one begins so.

    Raises:
        UsageError: Several begin so, or no talk can have such a name.
    """
    check_name(name)
    exact = Session(sessions_folder() / name)
    if exact.exists:
        return exact
    found = [path for path in _folders() if path.name.startswith(name)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:3]) + (", ..." if len(found) > 3 else "")
        raise UsageError(f"{name}: several talks begin so ({names}). Give more of the name.")
    return Session(found[0]) if found else None


def last_session() -> Session:
    """Find the talk in which something was said last.

    Raises:
        UsageError: There is none.
    """
    folders = list(_folders())
    if not folders:
        raise UsageError("There is no saved talk to go on with. Begin one without --continue.")
    return Session(max(folders, key=lambda path: (path / FILE).stat().st_mtime_ns))


def list_talks(limit: int = 20) -> list[ListedTalk]:
    """List the talks, the last one first."""
    folders = sorted(_folders(), key=lambda path: (path / FILE).stat().st_mtime_ns, reverse=True)
    return [_listed(folder) for folder in folders[:limit]]


def check_name(name: str) -> str:
    """Return a name that a talk may have.

    Raises:
        UsageError: It may not.
    """
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        shown = name if len(name) <= 40 else name[:37] + "..."
        raise UsageError(f"{shown!r} cannot name a talk: expected 1 to 64 letters, digits, blanks, dots or dashes.")
    return name


def _folders() -> Iterator[Path]:
    try:
        yield from (path for path in sessions_folder().iterdir() if (path / FILE).is_file())
    except OSError:
        return


def _listed(folder: Path) -> ListedTalk:
    changed = datetime.fromtimestamp((folder / FILE).stat().st_mtime)
    try:
        messages = Session(folder).read().messages
    except EdgeError:
        return ListedTalk(folder.name, changed, 0, "(cannot be read)")
    questions = [message for message in messages if message["role"] == "user"]
    first = " ".join(text_of(questions[0]).split()) if questions else ""
    if len(first) > SHOWN_CHARACTERS:
        first = first[: SHOWN_CHARACTERS - 3] + "..."
    return ListedTalk(folder.name, changed, len(questions), first)
