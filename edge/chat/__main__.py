"""`python -m edge.chat`: ask a checkpoint once, or talk with it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.chat.arguments import parse_arguments
from edge.chat.border import INTERRUPTED, explain, wants_traceback
from edge.chat.options import ChatOptions
from edge.chat.screen.screen import Screen
from edge.chat.starting import uncollected
from edge.errors import EdgeError
from edge.usage import end_of_pipe

if TYPE_CHECKING:
    from edge.chat.asking.piped import Asked
    from edge.chat.sessions.session import SavedTalk
    from edge.chat.talk import Talk
    from edge.tools import Tool

DEMO_NOTICE = "This is the small embedded demo checkpoint; for the real model: python -m edge.chat --model 8b"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    options = parse_arguments(argv)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the program
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  it stays open
    screen = Screen(
        sys.stdout, sys.stderr, thoughts=options.thoughts or "show", renders_markdown=options.renders_markdown
    )
    logging.basicConfig(handlers=[_Notes(screen)], level=logging.WARNING)
    try:
        with ExitStack() as starting:
            starting.enter_context(uncollected())
            return _run(options, screen, starting)
    except KeyboardInterrupt:
        with suppress(OSError):
            screen.end_line()
        return INTERRUPTED
    except BrokenPipeError:
        return end_of_pipe()
    except Exception as error:  # the border of the program
        if wants_traceback() and not isinstance(error, EdgeError):
            raise
        message, code = explain(error)
        with suppress(OSError):
            screen.error(message)
        return code


class _Notes(logging.Handler):
    """Write warnings of the library as notes."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self._screen.note(" ".join(record.getMessage().split()))


def _run(options: ChatOptions, screen: Screen, starting: ExitStack) -> int:
    """Answer a question or talk; `starting` is closed when all is loaded."""
    from edge.chat.asking.piped import read_question
    from edge.chat.asking.request import check_options, opens_thought
    from edge.chat.keeping import open_keeper
    from edge.chat.loading import find_engine, is_demo

    if options.model is not None and is_demo(options.model):
        options = replace(options, model=None)
    asked = read_question(options)
    check_options(options)
    is_talk = asked.text is None
    screen.shows_answers = not options.is_json
    if is_talk:
        screen.thoughts = options.thoughts or "fold"
        screen.thought_hint = " (/thought shows it)"
    keeper, saved = open_keeper(options, is_talk=is_talk)
    if saved is not None and options.model is None and saved.model not in (None, "demo"):
        options = replace(options, model=saved.model)
    keeps = keeper.session is not None
    closing = ExitStack()
    try:
        tools = _open_tools(options, screen, closing)
        engine = find_engine(options, screen, keeps=keeps)()
        from edge.chat.talk import Talk

        starting.close()
        talk = Talk(engine, options, screen, thinks=opens_thought(engine), keeper=keeper, is_talk=is_talk)
        if tools:
            talk.add_tools(tools)
        talk.find = lambda name: find_engine(replace(talk.options, model=name), screen, keeps=keeps)
        try:
            return _talk(talk, saved, asked.opening) if is_talk else _answer(talk, asked, saved)
        finally:
            talk.engine.close()
    finally:
        closing.close()
        keeper.close()


def _open_tools(options: ChatOptions, screen: Screen, closing: ExitStack) -> list[Tool]:
    """Open the tools before seconds go into loading a model."""
    if not options.tools and not options.servers:
        return []
    from edge.chat.calls.sources import open_tools

    with screen.waiting("opening the tools"):
        return open_tools(options.tools, options.servers, closing=closing)


def _answer(talk: Talk, asked: Asked, saved: SavedTalk | None) -> int:
    """Answer one question."""
    from edge.chat.one_shot import answer_once
    from edge.chat.switching import restore

    if saved is not None:
        restore(talk, saved)
    notice = ""
    if talk.options.model is None:
        notice = DEMO_NOTICE
    elif talk.options.shows_stats:
        notice = f"Model: {talk.engine.name}."
    return answer_once(talk, asked, out=sys.stdout, notice=notice)


def _talk(talk: Talk, saved: SavedTalk | None, opening: str) -> int:
    """Talk until the user leaves; files of the opening wait for the first question."""
    from edge.chat.screen.line import run_talk
    from edge.chat.switching import take_over
    from edge.chat.welcome import greet

    greet(talk)
    if saved is not None:
        take_over(talk, saved)
    if opening:
        talk.handle(opening)
    return run_talk(talk)


if __name__ == "__main__":
    sys.exit(main())
