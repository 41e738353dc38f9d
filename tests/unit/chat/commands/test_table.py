from __future__ import annotations

import pytest

from edge.chat.commands.table import all_commands, find_command
from edge.errors import UsageError
from tests.unit.chat.parrot import Talking


@pytest.mark.parametrize("name", ["/image", "/IMAGE", "/Img", "/exit", "/?", "/q"])
def test_commands_are_found_by_name_and_alias_in_any_case(name: str) -> None:
    assert find_command(name).name in ("/image", "/quit", "/help")


@pytest.mark.parametrize(
    ("name", "near"), [("/retr", "/retry"), ("/imge", "/image"), ("/sesions", "/sessions"), ("/halp", "/help")]
)
def test_an_unknown_command_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean {near}"):
        find_command(name)


@pytest.mark.parametrize("name", ["/foo", "/what", "/zzz"])
def test_a_name_like_no_command_gets_no_guess(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} is no command. /help lists them"):
        find_command(name)


def test_names_and_aliases_are_unique() -> None:
    names = [name for command in all_commands() for name in (command.name, *command.aliases)]
    assert len(names) == len(set(names))


def test_help_lists_every_command_and_explains_one(talking: Talking) -> None:
    note = talking.say("/help")
    assert all(command.name in note for command in all_commands())
    assert "answer the last question again (also /again" in talking.say("/help retry")


@pytest.mark.parametrize("line", ["/quit", "exit", "Quit "])
def test_quit_ends(talking: Talking, line: str) -> None:
    assert not talking.talk.handle(line)


def test_help_needs_no_slash_and_a_blank_before_it_asks(talking: Talking) -> None:
    assert "/retry" in talking.say("help")
    talking.say(" exit", "exit the room how?")
    assert len(talking.engine.requests) == 2
