"""Commands for what goes with the next question."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from edge.chat.asking.looking import Kind
from edge.chat.asking.paths import find_files, is_file
from edge.chat.commands.command import Command
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk


def _add(talk: Talk, argument: str, kind: Kind) -> None:
    if not argument:
        raise UsageError(f"/{kind} needs a file: /{kind} FILE. /paste takes the clipboard's picture.")
    for typed in files_of(argument):
        talk.announce(talk.waiting.add_typed(typed, kind=kind))


def _image(talk: Talk, argument: str) -> None:
    _add(talk, argument, "image")


def _video(talk: Talk, argument: str) -> None:
    _add(talk, argument, "video")


def _pdf(talk: Talk, argument: str) -> None:
    _add(talk, argument, "pdf")


def _paste(talk: Talk, _: str) -> None:
    from edge.chat.asking.clipboard import clipboard_pictures

    for number, found in enumerate(clipboard_pictures(), 1):
        if isinstance(found, str):
            items = talk.waiting.add(Path(found))
        else:
            items = talk.waiting.add(found, kind="image", name=f"clipboard {number}")
        talk.announce(items)


def _drop(talk: Talk, argument: str) -> None:
    gone = talk.waiting.drop(argument)
    talk.screen.note(f"no longer waiting: {', '.join(item.name for item in gone)}")


def files_of(argument: str) -> list[str]:
    """Read files as typed or dropped behind a command: quoted, escaped, several, or one bare with blanks."""
    if is_file(argument):
        return [argument]
    found = find_files(argument)
    if found.sources and not found.text:
        return list(found.sources)
    try:
        words = shlex.split(argument)
    except ValueError:
        words = []
    return words if len(words) == 1 else [argument]


def path_of(argument: str, command: str) -> Path:
    """Read the path of a file to be written.

    Raises:
        UsageError: There is none.
    """
    if not argument:
        raise UsageError(f"{command} needs a file: {command} FILE.")
    try:
        return Path(files_of(argument)[0]).expanduser()
    except RuntimeError:
        raise UsageError(f"{argument}: there is no such user. Check the path.") from None


COMMANDS = (
    Command(
        "/image", _image, "FILE...", "show pictures with the next question", aliases=("/img", "/i"), completes="path"
    ),
    Command("/video", _video, "FILE...", "show a video with the next question", aliases=("/v",), completes="path"),
    Command("/pdf", _pdf, "FILE[:PAGES]", "show pages of a PDF, such as a.pdf:1,3-5", completes="path"),
    Command("/paste", _paste, "", "show the clipboard's picture with the next question"),
    Command("/drop", _drop, "[NAME|N|all]", "take the last, one or all of these away", completes="waiting"),
)
