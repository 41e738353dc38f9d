"""Commands that show or copy what is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.chat.commands.command import Command
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk


def _thought(talk: Talk, _: str) -> None:
    if talk.last is None or not talk.last.reasoning:
        raise UsageError("The last answer has no thought.")
    view = talk.screen.thoughts
    talk.screen.thoughts = "show"
    try:
        talk.screen.reasoning(talk.last.reasoning)
        talk.screen.end_line()
    finally:
        talk.screen.thoughts = view


def _copy(talk: Talk, _: str) -> None:
    from edge.chat.asking.clipboard import copy_text

    if talk.last is None or not talk.last.text:
        raise UsageError("There is no answer to copy yet.")
    how, escape = copy_text(talk.last.text, terminal_escape=talk.screen.out.can_move)
    if escape:
        talk.screen.out.write_raw(escape)
    talk.screen.note(how)


COMMANDS = (
    Command("/thought", _thought, "", "show the last thought"),
    Command("/copy", _copy, "", "copy the last answer to the clipboard"),
)
