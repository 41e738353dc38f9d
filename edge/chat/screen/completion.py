"""Complete commands, their arguments, and paths behind `@` or typed as such."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from edge.chat.commands.command import Command
from edge.chat.commands.table import all_commands

if TYPE_CHECKING:
    from edge.chat.talk import Talk

PATH_STARTS = ("@", "/", "./", "../", "~")


class LineCompleter(Completer):
    """What could follow the text before the cursor."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what could follow."""
        text = document.text_before_cursor
        if text.startswith("/") and " " not in text and "/" not in text[1:]:
            yield from _commands(text)
            return
        name, blank, argument = text.partition(" ")
        command = next((one for one in all_commands() if name.lower() in (one.name, *one.aliases)), None)
        if blank and command is not None:
            yield from self._arguments(command, argument.lstrip(), complete_event)
            return
        word = text.rpartition(" ")[2]
        if word.startswith(PATH_STARTS):
            yield from self._path(word.removeprefix("@"), complete_event)

    def _arguments(self, command: Command, typed: str, event: CompleteEvent) -> Iterable[Completion]:
        match command.completes:
            case "path":
                yield from self._path(typed, event)
            case "setting":
                from edge.chat.commands.settings import setting_names

                yield from _words(typed, setting_names())
            case "talk":
                from edge.chat.sessions.store import list_talks

                yield from _words(typed, [talk.name for talk in list_talks()])
            case "model":
                from edge.chat.models.found import find_models
                from edge.short_names import SIZES

                found = [model.name for model in find_models(self._talk.options.models_dir)]
                yield from _words(typed, [*found, *SIZES])
            case "waiting":
                yield from _words(typed, [*self._talk.waiting.names, "all"])
            case "command":
                yield from _words(typed, [command.name for command in all_commands()])

    def _path(self, typed: str, event: CompleteEvent) -> Iterable[Completion]:
        """Complete a path; blanks are escaped so that it stays one word."""
        for found in self._paths.get_completions(Document(typed, len(typed)), event):
            yield Completion(
                found.text.replace(" ", "\\ "), found.start_position, display=found.display, style=found.style
            )


def _commands(typed: str) -> Iterable[Completion]:
    """Complete a command's name, with a blank behind it where something follows."""
    wanted = typed.lower()
    for command in all_commands():
        if command.name.startswith(wanted):
            text = command.name + (" " if command.usage else "")
            yield Completion(text, -len(typed), display=command.name, display_meta=command.help)


def _words(typed: str, words: Iterable[str]) -> Iterable[Completion]:
    yield from (Completion(word, -len(typed)) for word in words if word.lower().startswith(typed.lower()))
