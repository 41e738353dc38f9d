"""Read one tool call in Hermes form while it streams: `<tool_call>`, a JSON object, `</tool_call>`.

In: the text after `<tool_call>`. Out: pieces of the call as soon as its name is known, and the call when it is whole.
Nothing is repaired: a call is JSON with a name and an object of arguments, or it is broken. Three habits of models
are read as meant: arguments written as a JSON string that holds an object, arguments left out or null (no
arguments), and a missing `</tool_call>` before the next call or the end of the answer.
"""

from __future__ import annotations

import json
import secrets
from typing import Literal

from edge.events import ToolCall, ToolCallDeltaEvent
from edge.text.json_scan import WHITESPACE, JsonScanner, State

CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"


class CallReader:
    """One call. `status` tells how it stands; deltas that were sent are void when it ends "broken".

    Attributes:
        index: Place among the calls of the answer.
        raw: The text of the call so far, without `<tool_call>`.
        status: "open", "complete", "broken", or "cut" where something ended the answer inside it.
        reason: What is wrong with a broken call, as the end of a sentence.
        is_announced: Whether a delta was sent.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.raw = ""
        self.status: Literal["open", "complete", "broken", "cut"] = "open"
        self.reason = ""
        self.is_announced = False
        self._id = f"call_{secrets.token_hex(12)}"
        self._scanner = JsonScanner()
        self._members = _Members()
        self._tail = ""
        self._sent = 0
        self._arguments: str | None = None

    @property
    def call(self) -> ToolCall:
        """The complete call."""
        assert self.status == "complete", "the call is not complete"
        assert self._members.name is not None
        assert self._arguments is not None
        return ToolCall(self.index, self._id, self._members.name, self._arguments)

    @property
    def cut_call(self) -> ToolCall:
        """The call as far as it was sent; its arguments are the beginning of a text."""
        assert self.status == "cut", "the call is not cut off"
        assert self._members.name is not None
        arguments = self._members.open_arguments(self.raw, 0, len(self.raw))
        return ToolCall(self.index, self._id, self._members.name, arguments)

    @property
    def is_closed_by_tag(self) -> bool:
        """Whether `</tool_call>` was there."""
        return self._tail == CALL_CLOSE

    def feed(self, text: str) -> tuple[list[ToolCallDeltaEvent], str]:
        """Take more text.

        Returns:
            Pieces of the call; and the text that follows it, empty while it is open.
        """
        start = len(self.raw)
        self.raw += text
        for at in range(start, len(self.raw)):
            self._step(at)
            if self.status != "open":
                rest, self.raw = self.raw[at + 1 :], self.raw[: at + 1]
                # A call that follows without `</tool_call>` is read anew by the caller.
                return self._deltas(), CALL_OPEN + rest if self._tail == CALL_OPEN else rest
        return self._deltas(), ""

    def finish(self, *, is_cut: bool = False) -> None:
        """End the call where the answer ends: complete if its JSON is, otherwise broken.

        Args:
            is_cut: Whether the model would have gone on; its call is not called broken then.
        """
        if self._arguments is not None:
            self.status = "complete"
        elif is_cut:
            self.status = "cut"
        else:
            self._break("it was cut off")

    def _step(self, at: int) -> None:
        if self._scanner.state is State.DONE:
            self._after_json(self.raw[at])
            return
        if self._scanner.depth == 0 and self.raw[at] not in WHITESPACE and self.raw[at] != "{":
            self._break("it is not a JSON object")
            return
        before, depth = self._scanner.state, self._scanner.depth
        after = self._scanner.step(self.raw[at])
        if after is State.BROKEN:
            self._break("its JSON is broken")
            return
        fault = self._members.follow(self.raw, at, (before, depth), (after, self._scanner.depth))
        if fault is None and after is State.DONE:
            self._arguments, fault = self._members.finish(self.raw)
        if fault is not None:
            self._break(fault)

    def _after_json(self, character: str) -> None:
        if not self._tail and character in WHITESPACE:
            return
        self._tail += character
        if self._tail in (CALL_CLOSE, CALL_OPEN):
            self.status = "complete"
        elif not CALL_CLOSE.startswith(self._tail) and not CALL_OPEN.startswith(self._tail):
            self._break("something follows its JSON")

    def _break(self, reason: str) -> None:
        self.status, self.reason = "broken", reason

    def _deltas(self) -> list[ToolCallDeltaEvent]:
        """Give what is new of the arguments; the first piece names the call."""
        if self._members.name is None:
            return []
        if self._arguments is not None:
            piece = self._arguments[self._sent :]
        else:
            # The character that broke a call is not sent.
            end = len(self.raw) - (self.status == "broken")
            piece = self._members.open_arguments(self.raw, self._sent, end)
        self._sent += len(piece)
        if self.is_announced:
            return [ToolCallDeltaEvent(self.index, "", "", piece)] if piece else []
        self.is_announced = True
        return [ToolCallDeltaEvent(self.index, self._id, self._members.name, piece)]


class _Members:
    """Where name and arguments stand in the text of a call."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._key = ""
        self._key_start = 0
        self._value_start = 0
        self._seen: set[str] = set()
        self._object: tuple[int, int | None] | None = None  # where arguments written as an object start and end
        self._string: tuple[int, int] | None = None

    def follow(self, raw: str, at: int, before: tuple[State, int], after: tuple[State, int]) -> str | None:
        """Take one step of the scanner; return what is wrong with the call, if something is."""
        (old, old_depth), (new, depth) = before, after
        if old_depth == 1 and new is State.STRING and old in (State.KEY, State.FIRST_KEY):
            self._key_start = at
        elif depth == 1 and old is State.STRING and new is State.COLON:
            self._key = json.loads(raw[self._key_start : at + 1])
            if self._key in self._seen:
                return f"it has the key {self._key!r} twice" if self._key in ("name", "arguments") else None
            self._seen.add(self._key)
        elif old_depth == 1 and old is State.VALUE and new is not State.VALUE:
            self._value_start = at
            return self._start_value(raw[at], at)
        elif depth == 1 and new is State.AFTER_VALUE and (old_depth == 2 or old is State.STRING):
            return self._end_value(raw, at + 1)
        return None

    def finish(self, raw: str) -> tuple[str | None, str | None]:
        """Return the arguments of a call whose JSON is complete, or what is wrong with it."""
        if self.name is None:
            return None, "it has no name"
        text = "{}"
        if self._object is not None:
            text = raw[slice(*self._object)]
        elif self._string is not None:
            text = json.loads(raw[slice(*self._string)])
        return (text, None) if _is_object(text) else (None, "its arguments are not a JSON object")

    def open_arguments(self, raw: str, skip: int, end: int) -> str:
        """Return what stands before `end` of arguments written as an object, without its first `skip` characters."""
        if self._object is None:
            return ""
        start, stop = self._object
        return raw[start + skip : end if stop is None else min(stop, end)]

    def _start_value(self, character: str, at: int) -> str | None:
        if self._key == "name" and character != '"':
            return "its name is not a string"
        if self._key == "arguments":
            if character not in '{"n':
                return "its arguments are not a JSON object"
            if character == "{":
                self._object = (at, None)
        return None

    def _end_value(self, raw: str, end: int) -> str | None:
        if self._key == "name":
            name = json.loads(raw[self._value_start : end])
            if not name or not _is_unicode(name):
                return "its name is empty or broken"
            self.name = name
        elif self._key == "arguments" and self._object is not None:
            self._object = (self._value_start, end)
        elif self._key == "arguments":
            self._string = (self._value_start, end)
        return None


def _is_object(text: str) -> bool:
    """Tell whether a text is a JSON object that Python's reader takes too (it limits the digits of a number)."""
    try:
        return isinstance(json.loads(text, parse_constant=_refuse), dict) and _is_unicode(text)
    except (ValueError, RecursionError):
        return False


def _refuse(name: str) -> None:
    raise ValueError(name)


def _is_unicode(text: str) -> bool:
    """Tell whether a text has no half of a surrogate pair, which escapes can write and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
