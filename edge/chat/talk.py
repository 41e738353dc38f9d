"""Talk in the terminal: read a line, answer it, keep everything in a file.

Commands begin with a slash. Ctrl-C stops an answer and keeps what was written; Ctrl-D or /quit ends the talk.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.chat.arguments import ChatOptions
from edge.chat.asking import Message, begin, explain_cut, make_request, show_events
from edge.chat.interrupt import cancel_on_interrupt
from edge.chat.screen import Screen, describe_usage
from edge.chat.transcript import Transcript, new_transcript_path
from edge.conversation import user_message
from edge.errors import EdgeError, MediaError, UsageError

if TYPE_CHECKING:
    from edge.engine import Engine

HELP = """\
/image FILE   show a picture with the next question
/video FILE   show a video with the next question
/new          begin a new talk (the old one stays saved)
/save FILE    copy the talk to FILE
/help         this list
/quit         end (also Ctrl-D); Ctrl-C stops an answer"""


class Talk:
    """A conversation with one engine, and the pictures waiting for the next question."""

    def __init__(self, engine: Engine, options: ChatOptions, screen: Screen) -> None:
        self._engine = engine
        self._options = options
        self._screen = screen
        self._images = list(options.images)
        self._videos = list(options.videos)
        self._transcript = Transcript(options.save or new_transcript_path())
        self._messages = self._first_messages()

    @property
    def transcript_path(self) -> Path:
        """The file this talk is saved in."""
        return self._transcript.path

    @property
    def waiting_names(self) -> list[str]:
        """Names of the pictures and videos that go with the next question."""
        return [path.name for path in (*self._images, *self._videos)]

    def handle(self, line: str) -> bool:
        """Do what a line asks; False ends the talk. Failures are shown and the talk goes on."""
        try:
            if not line.startswith("/"):
                self._ask(line)
                return True
            name, _, argument = line.partition(" ")
            commands: dict[str, Callable[[str], None]] = {
                "/image": self._add_image,
                "/video": self._add_video,
                "/new": self._start_anew,
                "/save": self._save_copy,
                "/help": lambda _: self._screen.note(HELP),
            }
            if name in ("/quit", "/exit"):
                return False
            if name not in commands:
                raise UsageError(f"{name} is no command. /help lists them; begin with a space to send a slash.")
            commands[name](argument.strip())
        except EdgeError as error:
            self._screen.error(str(error))
        return True

    def _ask(self, text: str) -> None:
        message = user_message(text.strip(), images=[*map(str, self._images)], videos=[*map(str, self._videos)])
        cancel = threading.Event()
        with cancel_on_interrupt(cancel):
            # Nothing is remembered of a question that is refused.
            request = make_request(self._engine, self._options, [*self._messages, message], cancel=cancel)
            try:
                prompt, events = begin(self._engine, request)
            except MediaError as error:
                # Otherwise the next question would fail on it too.
                self._images, self._videos = [], []
                raise MediaError(f"{error} The waiting pictures and videos are let go.") from error
            self._remember(message)
            for line in (*(use.summary for use in prompt.media if not use.is_cached), *prompt.hints):
                self._screen.note(line)
            self._images, self._videos = [], []
            answer = show_events(prompt, events, self._screen, shows_reasoning=self._options.shows_reasoning)
        self._remember(answer.message(), finish_reason=answer.finish.reason)
        notes = []
        if answer.finish.reason == "cancelled":
            notes.append("(stopped; the answer so far is kept)")
        elif cut := explain_cut(answer):
            notes.append(cut)
        if self._options.shows_stats:
            notes.append(describe_usage(answer.usage))
        for note in notes:
            self._screen.note(note)

    def _remember(self, message: Message, **details: str) -> None:
        self._messages.append(message)
        self._transcript.add({**message, **details})

    def _first_messages(self) -> list[Message]:
        if self._options.system is None:
            return []
        return [{"role": "system", "content": self._options.system}]

    def _add_image(self, argument: str) -> None:
        from edge.prompt.media.picture import load_image

        path = _path_of(argument, "/image")
        height, width = load_image(path).shape[:2]
        self._images.append(path)
        self._screen.note(f"{path.name}, {width}x{height}, goes with the next question")

    def _add_video(self, argument: str) -> None:
        path = _path_of(argument, "/video")
        if not path.is_file():
            raise UsageError(f"{path}: no such file. Give the path of a video.")
        self._videos.append(path)
        self._screen.note(f"{path.name} goes with the next question")

    def _start_anew(self, _: str) -> None:
        self._messages, self._images, self._videos = self._first_messages(), [], []
        if self._transcript.path.exists():
            self._transcript = Transcript(new_transcript_path())
        self._screen.note("new talk")

    def _save_copy(self, argument: str) -> None:
        path = _path_of(argument, "/save")
        self._transcript.copy_to(path)
        self._screen.note(f"saved to {path}")


def _path_of(argument: str, command: str) -> Path:
    """Read a path as typed or dropped onto the terminal: quoted, escaped, or bare with spaces."""
    if not argument:
        raise UsageError(f"{command} needs a file: {command} FILE.")
    bare = Path(argument).expanduser()
    if bare.exists():
        return bare
    try:
        words = shlex.split(argument)
    except ValueError:
        words = []
    return Path(words[0]).expanduser() if len(words) == 1 else bare
