"""Commands for talks on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.chat.commands.command import Command
from edge.chat.commands.media import path_of
from edge.chat.sessions.folder import data_folder, with_tilde
from edge.chat.switching import go_on
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk


def _sessions(talk: Talk, _: str) -> None:
    from edge.chat.sessions.store import list_talks

    talks = list_talks()
    if not talks:
        talk.screen.plain("No talk is saved yet.")
        return
    width = max(len(one.name) for one in talks) + 2
    rows = [f"{one.name:<{width}}{one.num_questions:>3} questions  {one.first}" for one in talks]
    talk.screen.plain("\n".join(rows))
    talk.screen.note("/load NAME goes on with one; the beginning of the name is enough")


def _load(talk: Talk, argument: str) -> None:
    from edge.chat.sessions.store import find_session

    if not argument:
        raise UsageError("/load needs a name: /load NAME. /sessions lists them.")
    session = find_session(argument)
    if session is None:
        raise UsageError(f"{argument}: there is no such talk. /sessions lists them.")
    go_on(talk, session)


def _delete(talk: Talk, argument: str) -> None:
    from edge.chat.sessions.store import find_session

    session = find_session(argument) if argument else None
    if session is None or session.name != argument:
        found = (
            f"{argument}: there is no talk of exactly this name" if argument else "/delete needs a name: /delete NAME"
        )
        raise UsageError(f"{found}. /sessions lists them.")
    if talk.keeper.session is not None and talk.keeper.session.folder == session.folder:
        raise UsageError(f"{session.name}: this is the talk you are in. Begin another with /new, then delete it.")
    session.delete()
    talk.engine.forget_kept()  # which of them are this talk's is not known: others are computed again when they go on
    talk.screen.note(f"deleted: {session.name}, its pictures, and all kept keys and values")
    talk.screen.note(f"what you typed is still in {with_tilde(data_folder() / 'history')}, for the arrow keys")


def _save(talk: Talk, argument: str) -> None:
    """Copy the talk to a file, or say where it is saved."""
    if argument:
        from edge.chat.sessions.transcript import Transcript

        path = path_of(argument, "/save")
        if not talk.messages:
            raise UsageError("Nothing was said yet, so there is nothing to save.")
        if path.exists():
            raise UsageError(f"{path} exists. Choose another name.")
        transcript = Transcript(path)
        for message in talk.messages:
            transcript.add(message)
        talk.screen.note(f"saved to {path}")
    elif talk.keeper.is_saving and talk.keeper.session is not None:
        talk.screen.note(f"saved as it goes in {with_tilde(talk.keeper.session.folder)}; /save FILE makes a copy")
    else:
        talk.screen.note("this talk is not saved; /save FILE writes it to a file")


def _export(talk: Talk, argument: str) -> None:
    from edge.chat.sessions.export import export_talk

    path = path_of(argument, "/export")
    session = talk.keeper.session
    title = session.name if session is not None else "Talk"
    count = export_talk(path, talk.messages, title=title, names=talk.keeper.names)
    with_pictures = f" with {count} picture{'s' if count != 1 else ''}" if count else ""
    talk.screen.note(f"written to {path if path.suffix else path.with_suffix('.md')}{with_pictures}")


COMMANDS = (
    Command("/sessions", _sessions, "", "list saved talks", aliases=("/talks",)),
    Command("/load", _load, "NAME", "go on with a saved talk", completes="talk"),
    Command("/delete", _delete, "NAME", "delete a saved talk and its pictures", aliases=("/remove",), completes="talk"),
    Command("/save", _save, "[FILE]", "say where the talk is saved, or copy its messages to FILE", completes="path"),
    Command("/export", _export, "FILE", "write the talk as Markdown, pictures beside it", completes="path"),
)
