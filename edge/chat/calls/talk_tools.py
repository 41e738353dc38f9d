"""Carry out the calls of a talk: each is shown and asked about, its result goes back, until an answer comes.

In: answers with calls. Out: the messages with their results. After `MAX_ROUNDS` rounds, or too long a time, the model
is told no tools any more, so that it answers.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.chat.asking.item import WaitingItem
from edge.chat.asking.looking import Source
from edge.chat.calls.consent import ask_consent, can_ask
from edge.errors import MediaError, UsageError
from edge.prompt.media.source import is_data_url
from edge.tools import Tool, ToolBox, ToolResult
from edge.tools.rounds import MAX_ROUNDS, MAX_TOTAL_SECONDS
from edge.units import one_line

if TYPE_CHECKING:
    from edge.answer import Answer
    from edge.chat.asking.request import Message
    from edge.chat.talk import Talk
    from edge.events import ToolCall

SHOWN_CALL = 2000
"""The user says yes to what is shown; a longer call says that it is cut."""
SHOWN_RESULT = 160
NOBODY = "Error: tools run only with the user's consent, and nobody can be asked now. Do not repeat this call."
STOPPED = "Error: the user stopped before this call was carried out. Do not repeat it."


class TalkTools:
    """The tools of one talk.

    Attributes:
        tools: All of them.
        off: Names of those the model is not told of.
        always: Names of those that run without a question from now on.
        results: What the calls gave, in order.
        listeners: Called with every result.
    """

    def __init__(self, talk: Talk) -> None:
        """Take part in a talk: its answers' calls come here.

        Args:
            talk: The talk; nothing is declared before a tool is added.
        """
        self.tools: tuple[Tool, ...] = ()
        self.off: set[str] = set()
        self.always: set[str] = set()
        self.results: list[ToolResult] = []
        self.listeners: list[Callable[[ToolResult], None]] = []
        self._talk = talk
        self._box = ToolBox()
        self._had_nobody = False
        self._started = 0.0
        talk.follow_up = self.follow_up

    def add(self, tools: Sequence[Tool]) -> None:
        """Add tools.

        Raises:
            RequestError: A name is there twice; nothing is added.
        """
        ToolBox().add([*self.tools, *tools])
        self.tools = (*self.tools, *tools)
        self._declare()

    def switch(self, name: str | None, *, is_on: bool) -> None:
        """Tell the model of a tool, or of all, or no longer.

        Raises:
            UsageError: There is no such tool.
        """
        names = {tool.name for tool in self.tools}
        if name is not None and name not in names:
            raise UsageError(f"{name}: no such tool. There are: {', '.join(sorted(names)) or 'none'}.")
        chosen = names if name is None else {name}
        self.off = self.off - chosen if is_on else self.off | chosen
        self._declare()

    def follow_up(self, answer: Answer) -> list[Message] | None:
        """Carry out an answer's calls; None where they are not to be, or the user stopped."""
        rounds = self._rounds()
        if answer.finish.reason != "tool_calls" or rounds > MAX_ROUNDS:
            return None
        if rounds == 1:
            self._started = time.monotonic()
        messages: list[Message] = []
        try:
            for call in answer.tool_calls:
                messages.append(self._keep(self._run(call)))
        except BaseException as error:  # Ctrl-C, or a window that was closed: what ran is kept, the rest says so
            for call in answer.tool_calls[len(messages) :]:
                messages.append(self._keep(ToolResult(call, STOPPED, is_error=True)))
            for message in messages:
                self._talk.add(message)
            if not isinstance(error, KeyboardInterrupt) or not self._talk.is_talk:
                raise
            self._talk.screen.note("(stopped; the calls so far are kept)")
            return None
        self.bound_rounds()
        return messages

    def bound_rounds(self) -> None:
        """Let the next request of this question make no calls, where there were enough of them."""
        if self._rounds() >= MAX_ROUNDS or time.monotonic() - self._started > MAX_TOTAL_SECONDS:
            self._talk.screen.note("(enough calls: now an answer is asked for)")
            self._talk.request_fields["tool_choice"] = "none"

    def were_stopped(self, results: Sequence[Message]) -> bool:
        """Whether the user stopped before one of these calls was carried out."""
        return any(message.get("content") == STOPPED for message in results)

    def _rounds(self) -> int:
        """Count the answers with calls since the last question."""
        start = self._talk.last_question() or 0
        return sum(bool(message.get("tool_calls")) for message in self._talk.messages[start:])

    def _declare(self) -> None:
        self._box = ToolBox(consent=self._agrees)
        self._box.add(tool for tool in self.tools if tool.name not in self.off)
        self._talk.request_fields.pop("tools", None)
        if len(self._box):
            self._talk.request_fields["tools"] = self._box.declarations

    def _run(self, call: ToolCall) -> ToolResult:
        length = len(call.arguments)
        cut = f" [the middle of {length} characters is not shown]" if length > SHOWN_CALL else ""
        shown = one_line(call.arguments, max_characters=SHOWN_CALL)
        self._talk.screen.note(f"{one_line(call.name, max_characters=60)} {shown}{cut}")
        self._had_nobody = False
        result = self._box.run(call)
        if self._had_nobody:
            result = replace(result, content=NOBODY)
        text = one_line(result.text, max_characters=SHOWN_RESULT) or "(nothing)"
        self._talk.screen.note(f"  = {text}")
        self.results.append(result)
        for listener in self.listeners:
            listener(result)
        return result

    def _agrees(self, call: ToolCall, tool: Tool) -> bool:
        talk = self._talk
        if talk.options.agrees or call.name in self.always:
            return True
        if not can_ask(talk.screen):
            self._had_nobody = True
            talk.screen.note(f"{call.name} was not run: nobody can be asked here. --yes lets all tools run.")
            return False
        said = ask_consent(talk.screen, tool.name)
        if said == "always":
            self.always.add(call.name)
        return said != "no"

    def _keep(self, result: ToolResult) -> Message:
        """Make the message of a result; its pictures are copied beside the talk like those of a question."""
        message = result.message()
        content = message.get("content")
        if isinstance(content, list):
            message["content"] = [self._kept_part(part, result.call.name) for part in content]
        return message

    def _kept_part(self, part: Any, name: str) -> Any:  # Any: a JSON part, but for the source
        kind = part.get("type")
        if kind not in ("image", "video"):
            return part
        try:
            item = WaitingItem(kind, f"result of {name}", source_of(part[kind]), "")
        except MediaError as error:
            return {"type": "text", "text": f"[the {kind} cannot be read: {error}]"}
        source, line = self._talk.keeper.keep_media(item)
        if line:
            self._talk.screen.note(line)
        return {**part, kind: source if isinstance(source, bytes) else str(source)}


def source_of(given: Any) -> Source:  # Any: as `edge.options.Image` takes it
    """Make a file, bytes or a data URL of what a tool gave as a picture or video.

    Raises:
        MediaError: It is none of these and no picture, or its file is not there.
    """
    if isinstance(given, str) and not is_data_url(given):
        given = Path(given).expanduser()
    if isinstance(given, str | bytes) or (isinstance(given, Path) and given.is_file()):
        return given
    from PIL import Image

    from edge.prompt.media.picture import load_image

    file = io.BytesIO()
    Image.fromarray(load_image(given, label="result")).save(file, "PNG")
    return file.getvalue()
