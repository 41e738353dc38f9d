"""Commands for what was said: again, otherwise, not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.chat.asking.item import WaitingItem
from edge.chat.asking.message import media_parts, text_of
from edge.chat.commands.command import Command
from edge.chat.switching import begin_anew
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.chat.talk import Talk


def _retry(talk: Talk, _: str) -> None:
    index = _last_question(talk)
    sampling = talk.options.sampling
    if sampling.get("temperature", talk.engine.default_sampling.temperature) == 0:
        talk.screen.note("(temperature is 0, so the answer will be the same: /set temperature 0.7)")
    if "seed" in sampling:
        talk.change(sampling={**sampling, "seed": int(sampling["seed"]) + 1})
    if not talk.answer_results():  # calls that were carried out are not repeated
        talk.ask_again(index)


def _edit(talk: Talk, argument: str) -> None:
    index = _last_question(talk)
    talk.edited = index
    if argument:
        talk.ask(argument)
    else:
        talk.prefill = text_of(talk.messages[index])


def _undo(talk: Talk, _: str) -> None:
    index = _last_question(talk)
    question = talk.messages[index]
    items = []
    for part in media_parts(question):
        source = part[part["type"]]
        name = talk.keeper.name_of(source, otherwise=part["type"])
        is_path = isinstance(source, str) and not source.startswith("data:")
        items.append(WaitingItem(part["type"], name, Path(source) if is_path else source, "again"))
    talk.cut(index)
    talk.waiting.put_back(items)
    names = f"; {', '.join(item.name for item in items)} waits again" if items else ""
    talk.screen.note(f"forgotten: the last question and its answer{names}")


def _new(talk: Talk, argument: str) -> None:
    begin_anew(talk, argument or None)
    talk.screen.note("new talk")


def _last_question(talk: Talk) -> int:
    index = talk.last_question()
    if index is None:
        raise UsageError("Nothing was asked yet.")
    return index


COMMANDS = (
    Command("/retry", _retry, "", "answer the last question again", aliases=("/again", "/regenerate")),
    Command("/edit", _edit, "[TEXT]", "change the last question and ask it again", aliases=("/e",)),
    Command("/undo", _undo, "", "forget the last question and its answer"),
    Command("/new", _new, "[NAME]", "begin a new talk (the old one stays saved)", aliases=("/clear", "/reset")),
)
