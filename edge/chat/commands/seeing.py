"""A command that shows where the boxes and points of an answer lie."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge.chat.commands.command import Command
from edge.chat.commands.media import path_of
from edge.chat.screen.preview import show_picture
from edge.chat.sessions.folder import with_tilde
from edge.chat.sessions.saved_media import FOLDER

if TYPE_CHECKING:
    from edge.chat.talk import Talk

MOST_COLUMNS = 60


def _boxes(talk: Talk, argument: str) -> None:
    """Write the marks in pixels, draw them on a copy of the picture, save and show it."""
    from edge.chat.marks import last_marked

    first, _, rest = argument.partition(" ")
    number = int(first) if first.isdecimal() else None
    marked = last_marked(talk, number)
    talk.screen.plain("\n".join(marked.lines))
    from edge.draw import draw_marks, save_marks  # late: Pillow takes a noticeable time to import

    file = rest.strip() if number is not None else argument
    path = path_of(file, "/boxes") if file else _place(talk, marked.name)
    if path is None:
        show_picture(talk.screen, draw_marks(marked.source, marked.marks), name="", columns=MOST_COLUMNS)
        talk.screen.note("not saved, as this talk is not; /boxes FILE writes it")
        return
    saved = save_marks(marked.source, marked.marks, path=path)
    if not file:
        with suppress(OSError):
            saved.chmod(0o600)  # as everything of a talk
    from PIL import Image

    with Image.open(saved) as picture:
        show_picture(talk.screen, picture, name=with_tilde(saved), columns=MOST_COLUMNS)
    talk.screen.note(f"drawn on a copy: {with_tilde(saved)}")


def _place(talk: Talk, name: str) -> Path | None:
    """Return where a drawing goes beside the talk; None where it is not saved."""
    session = talk.keeper.session
    if session is None or not talk.keeper.is_saving or not session.is_begun:
        return None
    folder = session.folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"boxes-{Path(name).stem[:60].replace('/', '-') or 'picture'}.png"


COMMANDS = (
    Command(
        "/boxes",
        _boxes,
        "[N] [FILE]",
        "draw boxes and points of the last answer on picture N",
        aliases=("/points",),
        completes="path",
    ),
)
