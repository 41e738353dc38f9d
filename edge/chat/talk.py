"""A talk: what was said, what waits for the next question, and how a line becomes an answer.

Every failure of one question is one line, and the talk is as it was before. Saving is never a condition of answering:
where the disk fails, that is said once and the talk goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.answer import Answer, AnswerParts
from edge.chat.asking.item import WaitingItem
from edge.chat.asking.looking import NotMediaError
from edge.chat.asking.message import media_parts, without_marks
from edge.chat.asking.paths import find_files, is_file
from edge.chat.asking.request import Message, make_request
from edge.chat.asking.turn import Turn
from edge.chat.asking.unshown import unshown_lines
from edge.chat.asking.waiting import WaitingMedia
from edge.chat.border import explain, in_options, wants_traceback
from edge.chat.interrupt import cancel_on_interrupt
from edge.chat.keeping import TalkKeeper
from edge.chat.options import ChatOptions
from edge.chat.screen.describe import describe_media, describe_usage, explain_cut
from edge.chat.screen.screen import Screen
from edge.conversation import user_message
from edge.errors import EdgeError, MediaError
from edge.events import (
    Event,
    FinishEvent,
    NoteEvent,
    ProgressEvent,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
    Usage,
)

if TYPE_CHECKING:
    from edge.chat.calls.talk_tools import TalkTools
    from edge.engine import Engine
    from edge.tools import Tool

FILE_CHARACTERS = 2000
"""Files are looked for in shorter lines, and not between three quotes."""
RESULTS_KEPT = "(the results of the tools are kept: /retry asks for the answer again, /undo forgets the question)"
_NO_USAGE = Usage(0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


class Talk:
    """A conversation with an engine that can be replaced.

    Attributes:
        engine: Answers.
        options: The settings now; commands replace them.
        screen: Where everything is written.
        waiting: What goes with the next question.
        messages: What was said, without the system message.
        thinks: Whether the engine's model thinks before it answers.
        keeper: Saves it.
        is_talk: Somebody talks; otherwise it is one answer, with fewer notes.
        find: Finds another model by its name and returns what loads it; None stands for the demo.
        last: The last answer.
        is_over: Whether the user wants to leave.
        prefill: Text for the next line, to be edited.
        edited: Where the next question goes, if it replaces an earlier one.
        follow_up: Gives the messages that follow an answer with tool calls, such as results; None ends the turn.
        request_fields: Further fields of every request, such as tools.
        listeners: Called with every event, before it is shown.
        tools: What the model may call; None without.
    """

    def __init__(
        self,
        engine: Engine,
        options: ChatOptions,
        screen: Screen,
        *,
        thinks: bool,
        keeper: TalkKeeper,
        is_talk: bool = True,
    ) -> None:
        self.engine = engine
        self.options = options
        self.screen = screen
        self.thinks = thinks
        self.keeper = keeper
        self.is_talk = is_talk
        self.find: Callable[[str | None], Callable[[], Engine]] | None = None
        self.waiting = WaitingMedia()
        self.messages: list[Message] = []
        self.last: Answer | None = None
        self.is_over = False
        self.prefill = ""
        self.edited: int | None = None
        self.follow_up: Callable[[Answer], Sequence[Message] | None] | None = None
        self.request_fields: dict[str, Any] = {}  # Any: values of Request's fields
        self.listeners: list[Callable[[Event], None]] = []
        self.tools: TalkTools | None = None
        self._unshown: Sequence[WaitingItem] = ()

    def handle(self, line: str) -> bool:
        """Do what a line asks; False ends the talk. Failures are shown and the talk goes on."""
        self.prefill = ""
        try:
            self._handle(line)
        except Exception as error:  # the border of one line
            if wants_traceback() and not isinstance(error, EdgeError):
                raise
            self.screen.error(explain(error, in_talk=True)[0])
        return not self.is_over

    def _handle(self, line: str) -> None:
        from edge.chat.commands.table import BARE, find_command

        line = BARE.get(line.rstrip().lower(), line)
        text = without_marks(line)
        name, _, argument = line.partition(" ")
        # A path has a second slash, or is a file.
        if name.startswith("/") and "/" not in name[1:] and not is_file(name):
            self.edited = None
            find_command(name).run(self, argument.strip())
        elif text != line or len(text) > FILE_CHARACTERS:
            self.ask(text.strip())  # a pasted text may hold paths that nobody wants to show
        else:
            self.say(text)

    def say(self, text: str) -> None:
        """Take the files out of what was typed, and ask the rest if there is any.

        Raises:
            EdgeError: A file cannot be shown, or the question is refused.
        """
        found = find_files(text)
        question, new = found.text, []
        for source in found.sources:
            try:
                new += self.waiting.add_typed(source)
            except NotMediaError as error:
                if not found.text:
                    raise
                if self.tools is None:  # with tools the model may read it
                    self.screen.note(str(error))
                question = text  # its name stays in the question
            except MediaError:
                self.prefill = text
                raise
        if question.strip():
            self.prefill = text  # a line that is only a wrong path comes back
            for line in unshown_lines(found.unnamed, reads_files=self.tools is not None):
                self.screen.note(line)
            self.prefill = ""
            self._unshown = new
            self.ask(question.strip())
        else:
            self.announce(new)

    def announce(self, items: Sequence[WaitingItem]) -> None:
        """Say what waits for the next question from now on, and show it where the terminal can."""
        for item in items:
            self.screen.note(f"{item.line}, goes with the next question")
        self.preview(items)

    def preview(self, items: Sequence[WaitingItem]) -> None:
        """Show pictures of a question in small, where the terminal can."""
        if items and self.is_talk and self.options.shows_previews:
            from edge.chat.screen.preview import show_previews

            show_previews(self.screen, items)

    def ask(self, text: str) -> None:
        """Ask a question with what waits.

        Raises:
            EdgeError: It is refused; the pictures wait again and the talk is as before.
        """
        keep = len(self.messages) if self.edited is None else self.edited
        old = self.messages[keep : keep + 1]
        self.edited = None
        items = self.waiting.take()
        message = self._message(text, items)
        if old:  # an edited question keeps its pictures
            message["content"] = [*media_parts(old[0]), *message["content"]]
        self.run(Turn([message], keep, items, text))

    def ask_again(self, index: int) -> None:
        """Ask the question at an index again, in the place of what followed.

        Raises:
            EdgeError: It is refused; the talk is as before.
        """
        self.run(Turn([self.messages[index]], index, [], ""))

    def answer_results(self) -> bool:
        """Ask for the answer to the results that the talk ends with; False where it does not, or the user stopped."""
        keep = len(self.messages)
        while keep and self.messages[keep - 1]["role"] == "tool":
            keep -= 1
        if keep == len(self.messages) or self.tools is None or self.tools.were_stopped(self.messages[keep:]):
            return False
        self.tools.bound_rounds()
        self.run(Turn(self.messages[keep:], keep, [], "", is_kept=True))
        return True

    def run(self, turn: Turn) -> None:
        """Run a turn, and those that follow from its tool calls."""
        try:
            answer = self._run(turn)
            while answer is not None and self.follow_up is not None and answer.tool_calls:
                results = self.follow_up(answer)
                if results is None:
                    return
                keep = len(self.messages)
                for message in results:
                    self._remember(message)
                answer = self._run(Turn(list(results), keep, [], "", is_kept=True))
        finally:
            self.request_fields.pop("tool_choice", None)  # what ended the rounds of this question

    def add_tools(self, tools: Sequence[Tool]) -> None:
        """Let the model call tools.

        Raises:
            RequestError: A name is there twice; nothing is added.
        """
        from edge.chat.calls.talk_tools import TalkTools

        if self.tools is None:
            self.tools = TalkTools(self)
        self.tools.add(tools)

    def add(self, message: Message) -> None:
        """Put a message at the end of the talk, and save it."""
        self._remember(message)

    def last_question(self) -> int | None:
        """Return where the last question of the user is."""
        found = [index for index, message in enumerate(self.messages) if message["role"] == "user"]
        return found[-1] if found else None

    def cut(self, keep: int) -> None:
        """Forget all messages but the first ones."""
        del self.messages[keep:]
        self.keeper.cut(keep)

    def change(self, **changes: Any) -> None:  # Any: values of ChatOptions' fields
        """Change settings; they are saved with the talk.

        Raises:
            EdgeError: A value is wrong; nothing is changed.
        """
        from edge.chat.asking.request import check_options

        changed = replace(self.options, **changes)
        check_options(replace(changed, save=None))
        self.options = changed
        self.screen.thoughts = changed.thoughts or "fold"
        self.screen.renders_markdown = changed.renders_markdown
        self.keeper.keep_settings(changed)

    def _run(self, turn: Turn) -> Answer | None:
        """Run one request; None when it was stopped before anything came."""
        before = list(self.messages)
        parts = AnswerParts()
        cancel = threading.Event()
        is_admitted = False
        try:
            with cancel_on_interrupt(cancel):
                self.screen.begin()
                for event in self.engine.stream(self._request(turn, cancel)):
                    parts.add(event)
                    if isinstance(event, PromptEvent):
                        self._admit(turn, event)
                        is_admitted = True
                    self._show(event)
            answer = parts.answer()
        except BaseException as error:
            cancel.set()
            try:
                self.screen.end_line()
            finally:  # a window that was closed takes no more text, and its talk is kept all the same
                self._rescue(turn, before, parts, error, is_admitted=is_admitted)
            raise
        self.screen.end_line()
        if answer.finish.reason == "cancelled" and not (answer.text or answer.reasoning or answer.tool_calls):
            if not turn.is_kept:
                self._take_back(turn, before)
            self.screen.note("(stopped before anything was answered)" if not turn.is_kept else RESULTS_KEPT)
            return None
        self._finish(answer)
        return answer

    def _request(self, turn: Turn, cancel: threading.Event) -> Any:  # Any: a Request, imported late
        system = [{"role": "system", "content": self.options.system}] if self.options.system else []
        messages = [*system, *self.messages[: turn.keep], *turn.new]
        return make_request(
            self.engine, self.options, messages, thinks=self.thinks, cancel=cancel, **self.request_fields
        )

    def _admit(self, turn: Turn, event: PromptEvent) -> None:
        """Remember a question that is going to be answered, and say what the model sees of its pictures."""
        if not turn.is_kept:
            if turn.keep < len(self.messages):
                self.cut(turn.keep)
            for message in turn.new:
                self._remember(message)
        sources = [part[part["type"]] for message in self.messages for part in media_parts(message)]
        num_new = sum(len(media_parts(message)) for message in turn.new)
        for place, (source, use) in enumerate(zip(sources, event.media, strict=False)):
            is_new = place >= len(sources) - num_new
            if is_new and (self.is_talk or use.is_shrunk or self.options.shows_stats):
                name = self.keeper.name_of(source, otherwise=use.kind)
                self.screen.note(in_options(describe_media(name, use)))
        for hint in event.hints:
            self.screen.note(in_options(hint, in_talk=self.is_talk))
        self.preview(self._unshown)  # meanwhile the model has begun
        self._unshown = ()

    def _show(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
        match event:
            case ProgressEvent():
                self.screen.progress(event)
            case ReasoningEvent():
                self.screen.reasoning(event.text)
            case TextEvent():
                self.screen.answer(event.text)
            case NoteEvent():
                self.screen.note(event.text)

    def _finish(self, answer: Answer) -> None:
        self.last = answer
        self._remember(answer.message(), finish_reason=answer.finish.reason)
        if cut := explain_cut(answer, in_talk=self.is_talk):
            self.screen.note(cut)
        if self.is_talk:
            from edge.chat.marks import mark_note  # after the answer: the first word need not wait for it

            if marks := mark_note(self, answer):
                self.screen.note(marks)
        if self.options.shows_stats:
            self.screen.note(describe_usage(answer.usage))

    def _rescue(
        self, turn: Turn, before: list[Message], parts: AnswerParts, error: BaseException, *, is_admitted: bool
    ) -> None:
        """After a failure: keep what was answered, or make the talk what it was."""
        parts.add(FinishEvent("cancelled", None, _NO_USAGE))
        answer = parts.answer()
        if is_admitted and (answer.text or answer.reasoning):
            self.last = answer
            self._remember(answer.message(), finish_reason="cancelled")
        elif turn.is_kept:
            if self.is_talk:
                self.screen.note(RESULTS_KEPT)
        elif is_admitted:
            self._take_back(turn, before)
        else:
            # A picture that cannot be read would spoil the next question too.
            self.waiting.put_back([] if isinstance(error, MediaError) else turn.items)
            self.prefill = turn.text
            if isinstance(error, MediaError) and turn.items and self.is_talk:
                self.screen.note(f"no longer waiting: {', '.join(item.name for item in turn.items)}")

    def _take_back(self, turn: Turn, before: list[Message]) -> None:
        """Make the talk what it was before a turn."""
        self.cut(turn.keep)
        for message in before[turn.keep :]:
            self._remember(message)
        self.waiting.put_back(turn.items)
        self.prefill = turn.text

    def _remember(self, message: Message, **details: str) -> None:
        self.messages.append(message)
        if line := self.keeper.keep(message, self.options, self.engine.name, **details):
            self.screen.note(line)

    def _message(self, text: str, items: Sequence[WaitingItem]) -> Message:
        sources: dict[str, list[Any]] = {"image": [], "video": []}  # Any: kinds of sources
        for item in items:
            source, line = self.keeper.keep_media(item)
            if line:
                self.screen.note(line)
            sources[item.kind].append(str(source) if isinstance(source, Path) else source)
        return user_message(text, images=sources["image"], videos=sources["video"])
