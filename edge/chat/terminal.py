"""Read lines with editing, history and completion, and hand them to a talk."""

from __future__ import annotations

from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory

from edge.chat.screen import Screen
from edge.chat.talk import Talk
from edge.chat.transcript import data_folder

COMMANDS = ("/image", "/video", "/new", "/save", "/help", "/quit")
FILE_COMMANDS = ("/image ", "/video ", "/save ")


class CommandCompleter(Completer):
    """Complete commands, and paths after those that take one."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what could follow the text before the cursor."""
        text = document.text_before_cursor
        for command in FILE_COMMANDS:
            if text.startswith(command):
                path = text[len(command) :].lstrip()
                yield from self._paths.get_completions(Document(path, len(path)), complete_event)
                return
        if text.startswith("/"):
            yield from (Completion(command, -len(text)) for command in COMMANDS if command.startswith(text))


def run_talk(talk: Talk, screen: Screen, *, notice: str) -> int:
    """Talk until the user leaves; return the exit code."""
    folder = data_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(folder / "history")), completer=CommandCompleter(), complete_while_typing=False
    )
    screen.note(f"{notice}  /help lists commands, Ctrl-D ends.")
    if talk.waiting_names:
        screen.note(f"With the first question: {', '.join(talk.waiting_names)}")
    while True:
        try:
            line = session.prompt("> ")
        except KeyboardInterrupt:
            continue  # drops the line, as a shell does
        except EOFError:
            break
        if line.strip() and not talk.handle(line):
            break
    if talk.transcript_path.exists():
        screen.note(f"The talk is saved in {talk.transcript_path}")
    return 0
