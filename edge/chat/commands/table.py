"""All commands, by name. A family of commands is a module with a tuple `COMMANDS`, listed in `FAMILIES`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from edge.chat.commands import media, memory, output, saved, seeing, settings, tools, turns
from edge.chat.commands.command import Command
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk

FAMILIES = (
    media.COMMANDS,
    turns.COMMANDS,
    settings.COMMANDS,
    tools.COMMANDS,
    seeing.COMMANDS,
    saved.COMMANDS,
    output.COMMANDS,
    memory.COMMANDS,
)


BARE = {"exit": "/quit", "quit": "/quit", "help": "/help"}
"""Words that mean a command when they are all of a line, as people know them from other programs."""


def all_commands() -> tuple[Command, ...]:
    """Return the commands in the order of the list."""
    return (*(command for family in FAMILIES for command in family), *_LAST)


def find_command(name: str) -> Command:
    """Find a command by its name or an alias, in any case.

    Raises:
        UsageError: There is none; the message suggests the nearest.
    """
    wanted = name.lower()
    names = {known: command for command in all_commands() for known in (command.name, *command.aliases)}
    if wanted in names:
        return names[wanted]
    shown = name if len(name) <= 40 else name[:37] + "..."
    near = get_close_matches(wanted[1:], [known[1:] for known in names], n=1)
    meant = f" Did you mean /{near[0]}?" if near else ""
    raise UsageError(f"{shown} is no command.{meant} /help lists them; begin with a blank to send a slash.")


def _help(talk: Talk, argument: str) -> None:
    if argument:
        command = find_command(argument if argument.startswith("/") else f"/{argument}")
        also = f" (also {', '.join(command.aliases)})" if command.aliases else ""
        talk.screen.plain(f"{command.name} {command.usage}".strip() + f": {command.help}{also}")
        return
    lefts = [f"{command.name} {command.usage}".strip() for command in all_commands()]
    width = max(map(len, lefts)) + 2
    is_wide = talk.screen.err.columns > width + max(len(command.help) for command in all_commands())
    rows = [
        f"{left:<{width}}{command.help}" if is_wide else f"{left}\n    {command.help}"
        for left, command in zip(lefts, all_commands(), strict=True)
    ]
    talk.screen.plain("\n".join(rows))
    talk.screen.plain(
        'Drop or name pictures, videos and PDFs anywhere in a question. """ begins and ends several lines, '
        "Alt-Enter begins a new one. Ctrl-C stops an answer and keeps it."
    )


def _quit(talk: Talk, _: str) -> None:
    talk.is_over = True


_LAST = (
    Command("/help", _help, "[COMMAND]", "this list", aliases=("/?", "/h"), completes="command"),
    Command("/quit", _quit, "", "leave (also Ctrl-D)", aliases=("/exit", "/bye", "/q")),
)
