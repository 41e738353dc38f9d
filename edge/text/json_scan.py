"""Follow one JSON value character by character, so that its end and its first fault are known at once.

In: characters. Out: a state. The grammar is that of RFC 8259: no comments, trailing commas, NaN or raw line breaks
in strings. Nothing is built: the caller slices the text by what the states say.
"""

from __future__ import annotations

import re
from enum import Enum, auto

WHITESPACE = " \t\r\n"
MAX_DEPTH = 200
_LITERALS = ("true", "false", "null")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")
_HEX = frozenset("0123456789abcdefABCDEF")


class State(Enum):
    """What the scanner expects next."""

    VALUE = auto()
    FIRST_ITEM = auto()  # a value, or the end of an empty list
    FIRST_KEY = auto()  # a key, or the end of an empty object
    KEY = auto()
    COLON = auto()
    AFTER_VALUE = auto()  # a comma, or the end of the list or object
    STRING = auto()
    ESCAPE = auto()
    HEX = auto()
    SCALAR = auto()  # inside a number, true, false or null
    DONE = auto()
    BROKEN = auto()


class JsonScanner:
    """One JSON value as it is read; after `state` is DONE or BROKEN nothing may follow."""

    def __init__(self) -> None:
        self.state = State.VALUE
        self._closers: list[str] = []
        self._is_key = False
        self._scalar = ""
        self._hex_digits = 0

    @property
    def depth(self) -> int:
        """Lists and objects that are open."""
        return len(self._closers)

    @property
    def closers(self) -> str:
        """What would close them, in order."""
        return "".join(reversed(self._closers))

    def step(self, character: str) -> State:
        """Take the next character and return the state after it."""
        if self.state is State.STRING:
            self._in_string(character)
        elif self.state is State.ESCAPE:
            self._in_escape(character)
        elif self.state is State.HEX:
            self._hex_digits += 1
            if character not in _HEX:
                self.state = State.BROKEN
            elif self._hex_digits == 4:
                self.state = State.STRING
        elif self.state is State.SCALAR:
            self._in_scalar(character)
        elif character not in WHITESPACE or self.state is State.DONE:
            self._between(character)
        return self.state

    def _in_string(self, character: str) -> None:
        if character == '"':
            self.state = State.COLON if self._is_key else self._after_value()
        elif character == "\\":
            self.state = State.ESCAPE
        elif character < " ":
            self.state = State.BROKEN

    def _in_escape(self, character: str) -> None:
        self._hex_digits = 0
        self.state = State.HEX if character == "u" else State.STRING if character in '"\\/bfnrt' else State.BROKEN

    def _in_scalar(self, character: str) -> None:
        grown = self._scalar + character
        is_number = self._scalar[0] not in "tfn"
        if character in _NUMBER_CHARACTERS if is_number else any(word.startswith(grown) for word in _LITERALS):
            self._scalar = grown
        elif self._scalar in _LITERALS or _NUMBER.fullmatch(self._scalar):
            self.state = self._after_value()
            if character not in WHITESPACE:
                self._between(character)
        else:
            self.state = State.BROKEN

    def _between(self, character: str) -> None:
        state = self.state
        if state in (State.VALUE, State.FIRST_ITEM) and not (state is State.FIRST_ITEM and character == "]"):
            self._open_value(character)
        elif state in (State.KEY, State.FIRST_KEY) and character == '"':
            self.state, self._is_key = State.STRING, True
        elif state is State.COLON and character == ":":
            self.state = State.VALUE
        elif state is State.AFTER_VALUE and character == ",":
            self.state = State.KEY if self._closers[-1] == "}" else State.VALUE
        elif (
            state in (State.AFTER_VALUE, State.FIRST_ITEM, State.FIRST_KEY)
            and self._closers
            and character == self._closers[-1]
        ):
            self._closers.pop()
            self.state = self._after_value()
        else:
            self.state = State.BROKEN

    def _open_value(self, character: str) -> None:
        if character == '"':
            self.state, self._is_key = State.STRING, False
        elif character in "{[" and len(self._closers) < MAX_DEPTH:
            self._closers.append("}" if character == "{" else "]")
            self.state = State.FIRST_KEY if character == "{" else State.FIRST_ITEM
        elif character in "-0123456789tfn":
            self.state, self._scalar = State.SCALAR, character
        else:
            self.state = State.BROKEN

    def _after_value(self) -> State:
        return State.AFTER_VALUE if self._closers else State.DONE
