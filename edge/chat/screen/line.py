"""Read lines with editing, history and completion, and hand them to a talk.

The line shows what waits for the next question. Enter sends, Alt-Enter begins a new line, three quotes begin and end
several. A large paste is shown by its size only. Ctrl-C drops the line, on an empty line the second one leaves.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from edge.chat.asking.message import MARK
from edge.chat.border import explain
from edge.chat.one_shot import add_given
from edge.chat.screen.completion import LineCompleter
from edge.chat.screen.keys import echo
from edge.chat.sessions.folder import data_folder, make_private, with_tilde
from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.chat.talk import Talk

PASTE_CHARACTERS = 4000
MAX_PROMPT_NAMES = 3
HANGUP = 129


class LineReader:
    """Reads one line after the other from the terminal."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._pastes: list[str] = []
        self._session: PromptSession[str] = PromptSession(
            history=self._history(),
            completer=LineCompleter(talk),
            complete_while_typing=False,
            key_bindings=self._bindings(),
            prompt_continuation="  ",
            enable_open_in_editor=False,
        )

    def read(self) -> str:
        """Read a line.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            EOFError: Ctrl-D was pressed on an empty line, or the terminal is gone.
        """
        self._pastes.clear()
        text = self._session.prompt(prompt_text(self._talk.waiting.names), default=self._talk.prefill)
        for number, paste in enumerate(self._pastes, 1):
            text = text.replace(paste_mark(number, paste), paste, 1)
        return text

    def _history(self) -> History:
        """Open the history; only its owner may read it, and an incognito talk has none on disk."""
        if self._talk.keeper.session is None:
            return InMemoryHistory()
        path = data_folder() / "history"
        try:
            make_private(path.parent)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            path.chmod(0o600)
        except OSError as error:
            self._talk.screen.note(f"What you type is not remembered: {with_tilde(path)}: {error.strerror}")
            return InMemoryHistory()
        return _SafeHistory(str(path))

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()
        in_marks = Condition(lambda: is_open(self._session.default_buffer.text))

        @bindings.add(Keys.Escape, Keys.Enter)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @bindings.add(Keys.Enter, filter=in_marks)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @bindings.add(Keys.BracketedPaste)
        def _(event: KeyPressEvent) -> None:
            text = event.data.replace("\r\n", "\n").replace("\r", "\n")
            if len(text) > PASTE_CHARACTERS:
                self._pastes.append(text)
                text = paste_mark(len(self._pastes), text)
            event.current_buffer.insert_text(text)

        return bindings


class _SafeHistory(FileHistory):
    """A history that goes on when the disk is full, and keeps no huge lines."""

    def store_string(self, string: str) -> None:
        if len(string) <= PASTE_CHARACTERS:
            with suppress(OSError):
                super().store_string(string.encode("utf-8", "replace").decode())


class PlainReader:
    """Reads lines from a terminal that cannot move its cursor: no history, no completion, no escapes."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def read(self) -> str:
        """Read a line, or several between three quotes; raises like `LineReader.read`."""
        if self._talk.prefill:
            self._talk.screen.note(f"not asked: {self._talk.prefill[:PASTE_CHARACTERS]}")
        text = self._read(prompt_text(self._talk.waiting.names))
        while is_open(text):
            text += "\n" + self._read("  ")
        return text

    def _read(self, mark: str) -> str:
        self._talk.screen.err.write_raw(mark)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")


def run_talk(talk: Talk) -> int:
    """Talk until the user leaves; return the exit code."""
    try:
        add_given(talk, None)
    except EdgeError as error:
        talk.screen.error(explain(error)[0])
    talk.preview(talk.waiting.items)
    reader = LineReader(talk) if talk.screen.err.can_move else PlainReader(talk)
    is_leaving = False
    with _hang_up():
        while True:
            try:
                line = reader.read()
            except KeyboardInterrupt:
                talk.edited, had_text = None, bool(talk.prefill)
                talk.prefill = ""
                if is_leaving and not had_text:
                    break
                is_leaving = True
                talk.screen.note("(Ctrl-C again or Ctrl-D leaves)")
                continue
            except (EOFError, OSError):
                break
            is_leaving = False
            if not line.strip():
                continue
            try:
                with echo(is_shown=False):  # keys typed during an answer come up in the next line
                    if not talk.handle(line):
                        break
            except KeyboardInterrupt:
                break  # the second Ctrl-C during an answer; what came is saved
    _say_where(talk)
    return 0


def prompt_text(waiting: list[str]) -> str:
    """Write what waits before the mark of the line."""
    if not waiting:
        return "> "
    shown = ", ".join(name if len(name) <= 20 else name[:17] + "..." for name in waiting[:MAX_PROMPT_NAMES])
    more = f" +{len(waiting) - MAX_PROMPT_NAMES}" if len(waiting) > MAX_PROMPT_NAMES else ""
    return f"[{shown}{more}] > "


def paste_mark(number: int, text: str) -> str:
    """Write what stands in the line for a large paste."""
    return f"[pasted {number}: {len(text)} characters]"


def is_open(text: str) -> bool:
    """Whether three quotes were begun and not ended."""
    body = text.lstrip()
    return body.startswith(MARK) and (len(body) < 2 * len(MARK) or not body.rstrip().endswith(MARK))


def _say_where(talk: Talk) -> None:
    keeper = talk.keeper
    if keeper.is_saving and keeper.session is not None and keeper.session.is_begun:
        with suppress(OSError):
            talk.screen.note(f"The talk is saved in {with_tilde(keeper.session.folder)}; --continue goes on with it.")


@contextmanager
def _hang_up() -> Iterator[None]:
    """Leave in order when the terminal is closed or the program is told to end, so that nothing is lost."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(HANGUP if number == signal.SIGHUP else 128 + number)

    numbers = (signal.SIGHUP, signal.SIGTERM)
    before = [signal.signal(number, leave) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
