"""All programs speak alike: one word for one thing in every `--help`, and pages name options that there are."""

from __future__ import annotations

import argparse
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from convert.__main__ import COMMANDS
from edge.bench.arguments import _parser as bench_parser
from edge.chat.arguments import _make_parser as chat_parser
from edge.plan.__main__ import _parser as plan_parser
from edge.server.arguments import _make_parser as server_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
# One name with two meanings, each usual in its place.
SEVERAL_MEANINGS = {"--json", "--image", "--mmproj", "--rows", "--dtype"}
# A program of this project, and what follows on its line.
COMMAND = re.compile(
    r"(?:(?<=`)|^|(?<=-m ))(edge\.chat|edge\.server|edge\.bench|edge\.plan|edge|convert) ([^`|\n]*)", re.M
)


@cache
def programs() -> dict[str, argparse.ArgumentParser]:
    found = {"edge.chat": chat_parser(), "edge.server": server_parser(), "edge.bench": bench_parser()}
    found["edge.plan"] = plan_parser()
    for name, (module, _) in COMMANDS.items():
        found[f"convert {name}"] = argparse.ArgumentParser()
        importlib.import_module(module).add_arguments(found[f"convert {name}"])
    return found


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what --help shows of a parser's options."""
    for action in parser._actions:
        if action.option_strings and action.help != argparse.SUPPRESS and action.dest not in ("help", "version"):
            yield action


def unknown_options(text: str) -> list[str]:
    """Return the options that a page names behind a program that has none of that name."""
    found = []
    for program, rest in COMMAND.findall(text):
        words = rest.split()
        name = f"convert {words[0]}" if program == "convert" and words else program.replace("edge", "edge.chat", 1)
        name = program if program in programs() else name
        parser = programs().get(name)
        if parser is None:
            continue
        named = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", rest.split(" > ")[0].split("&&")[0])
        found += [f"{name} {option}" for option in named if option not in (*parser._option_string_actions, "--version")]
    return found


def test_an_option_takes_the_same_word_everywhere() -> None:
    words: dict[str, set[str]] = defaultdict(set)
    for parser in programs().values():
        for action in options(parser):
            if action.nargs != 0:
                words[action.option_strings[-1]].add(str(action.metavar or action.choices or action.dest.upper()))
    several = {name: found for name, found in words.items() if len(found) > 1 and name not in SEVERAL_MEANINGS}
    assert not several, f"one option, several words: {several}"


@pytest.mark.parametrize("name", [*programs()])
def test_defaults_are_written_in_one_way(name: str) -> None:
    texts = {action.option_strings[0]: action.help or "" for action in options(programs()[name])}
    odd = {option: text for option, text in texts.items() if re.search(r"\(default [^:]|[^(]default: |\(\d+\)", text)}
    assert not odd, f"write (default: X): {odd}"
    assert all(texts.values()), "every option says what it is for"


@pytest.mark.parametrize("name", [*programs()])
def test_every_program_says_how_it_ends(name: str) -> None:
    assert "exit status: 0 " in (programs()[name].epilog or "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_options_that_there_are(page: Path) -> None:
    unknown = unknown_options(page.read_text(encoding="utf-8"))
    assert not unknown, f"{page.name} names what there is not: {unknown}"


def test_an_option_that_there_is_not_is_seen() -> None:
    assert unknown_options("`python -m edge.plan 30b --mack 8`") == ["edge.plan --mack"]
    assert unknown_options("python -m convert mlx a b --recipes 4bit") == ["convert mlx --recipes"]
    assert unknown_options("edge --modle 8b, `python -m edge.server --model 8b --rows 2`") == ["edge.chat --modle"]
