"""Write a talk: the answer to stdout, everything else to stderr.

On a terminal the answer is laid out and the thought stands apart; a pipe gets the answer alone and unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from edge.chat.options import ThoughtView
from edge.chat.screen.progress import ProgressLine, Waiting
from edge.chat.screen.streams import DIM, Stream, clean
from edge.chat.screen.thought import ThoughtWriter
from edge.chat.screen.wrap import WordWrap, cells
from edge.events import ProgressEvent

if TYPE_CHECKING:
    from edge.chat.screen.markdown import MarkdownStream

PROGRAM = "edge.chat"


class Screen:
    """Two text streams and what was begun on them."""

    def __init__(
        self, out: TextIO, err: TextIO, *, thoughts: ThoughtView = "show", renders_markdown: bool = True
    ) -> None:
        """Look at the streams.

        Args:
            out: For answers.
            err: For everything else.
            thoughts: How thoughts are shown.
            renders_markdown: Whether Markdown is laid out where the terminal can.
        """
        self.out = Stream(out)
        self.err = Stream(err)
        self.thoughts: ThoughtView = thoughts
        self.renders_markdown = renders_markdown
        self.shows_answers = True
        self.thought_hint = ""
        self._progress = ProgressLine(self.err)
        self._thought: ThoughtWriter | None = None
        self._answer: MarkdownStream | WordWrap | None = None

    def begin(self) -> None:
        """Begin a question: from now on progress may be shown."""
        self._progress.restart()

    def progress(self, event: ProgressEvent) -> None:
        """Show how far the work before the first token has come."""
        self._progress.show(event)

    def waiting(self, text: str) -> Waiting:
        """Show that something goes on in a `with` block."""
        return Waiting(self.err, text)

    def answer(self, text: str) -> None:
        """Write a piece of the answer."""
        self._progress.clear()
        if not self.shows_answers:
            return
        self._end_thought()
        if not self.out.is_terminal:
            self.out.write(text)
            return
        if self._answer is None:
            self._answer = self._make_answer()
        if isinstance(self._answer, WordWrap):
            self.out.write(self._answer.feed(text))
        else:
            self._answer.feed(text)

    def reasoning(self, text: str) -> None:
        """Write a piece of the thought."""
        self._progress.clear()
        if not self.shows_answers:
            return
        if self._thought is None:
            self._thought = ThoughtWriter(self.err, self.thoughts, hint=self.thought_hint)
        self._thought.feed(text)

    def note(self, line: str) -> None:
        """Write a line about the work, dim on a terminal."""
        self.end_line()
        for one in line.split("\n"):
            self._write_line(self.err.styled(self._wrapped(one), DIM))

    def error(self, message: str) -> None:
        """Write a failure in one line."""
        self.end_line()
        self._write_line(self._wrapped(f"{PROGRAM}: " + " ".join(message.split())))

    def plain(self, text: str) -> None:
        """Write lines for the user to read, such as a list."""
        self.end_line()
        for line in text.split("\n"):
            self._write_line(self._wrapped(line))

    def end_line(self) -> None:
        """End what was begun."""
        self._progress.clear()
        self._end_thought()
        if self._answer is not None:
            if isinstance(self._answer, WordWrap):
                self.out.write(self._answer.finish())
            else:
                self._answer.finish()
            self._answer = None
        if not self.out.ends_line:
            self.out.write("\n")

    def _make_answer(self) -> MarkdownStream | WordWrap:
        if self.renders_markdown and self.out.can_move:
            from edge.chat.screen.markdown import MarkdownStream  # late: rich takes a noticeable time to import

            return MarkdownStream(self.out)
        return WordWrap(lambda: self.out.columns - 1, measure=cells)

    def _end_thought(self) -> None:
        if self._thought is not None:
            self._thought.finish()
            self._thought = None

    def _wrapped(self, line: str) -> str:
        """Break a note between words on a terminal."""
        if not self.err.is_terminal:
            return line
        wrap = WordWrap(lambda: self.err.columns - 1, measure=cells)
        indent = line[: len(line) - len(line.lstrip())]
        return wrap.feed(indent + self._shown(line.lstrip())) + wrap.finish()

    def _shown(self, text: str) -> str:
        return clean(text) if self.err.is_terminal else text

    def _write_line(self, line: str) -> None:
        self.err.write_raw(line + "\n")
        self.err.ends_line = True
