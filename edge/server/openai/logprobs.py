"""Find the tokens of an answer's text, and write their logprobs down.

In: events of a run. Out: the tokens whose text stands in the answer, told with the piece of text that they begin in.
Clients put the tokens together and compare them with the text, so what is no text is left out: the thought, the blank
lines behind it, calls, what a stop string took, the token that ends the turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from edge.engine import Engine
from edge.events import CutCallEvent, Event, TextEvent, TokenEvent, ToolCallEvent

Json = Any


class TextTokens:
    """The tokens of one answer's text, as its events come."""

    def __init__(self, engine: Engine) -> None:
        """Begin an answer; the engine spells tokens."""
        self._engine = engine
        self._read: deque[TokenEvent] = deque()  # tokens whose text was not told yet
        self._told: list[TokenEvent] = []
        self._untold_bytes = 0  # of the last told token: its end may be held back, as it may begin a stop string

    def add(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case TokenEvent() if not event.is_reasoning and event.logprob is not None:  # forced tokens have none
                self._read.append(event)
            case TextEvent():
                self._tell(event.text)
            case ToolCallEvent() | CutCallEvent():
                self._read.clear()
                self._untold_bytes = 0

    def take(self) -> list[TokenEvent]:
        """Return the tokens of the text that came since the last time."""
        told, self._told = self._told, []
        return told

    def _tell(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        if not self._untold_bytes:
            self._skip_blanks(data)
        while self._read and self._untold_bytes < len(data):
            token = self._read.popleft()
            self._untold_bytes += len(_bytes_of(self._engine, token))
            self._told.append(token)
        self._untold_bytes = max(0, self._untold_bytes - len(data))

    def _skip_blanks(self, text: bytes) -> None:
        """Leave out white space before a text that does not begin with it, in a token of its own or with other text."""
        while self._read:
            token = _bytes_of(self._engine, self._read[0])
            blanks = len(token) - len(token.lstrip())
            skipped = next((one for one in range(blanks) if _agree(token[one:], text)), blanks)
            if skipped < len(token) or not token:
                self._untold_bytes = -skipped
                return
            self._read.popleft()


def text_tokens(engine: Engine, events: Iterable[Event]) -> list[TokenEvent]:
    """Return the tokens of a whole answer's text."""
    tokens = TextTokens(engine)
    for event in events:
        tokens.add(event)
    return tokens.take()


def logprobs_body(engine: Engine, tokens: Sequence[TokenEvent]) -> list[Json]:
    """Return tokens with their logprobs and the most likely ones beside them."""
    content = []
    for token in tokens:
        entry = _token_body(engine, token.token_id, token.logprob or 0.0)
        entry["top_logprobs"] = [_token_body(engine, one, value) for one, value in token.top_logprobs]
        content.append(entry)
    return content


def _token_body(engine: Engine, token_id: int, logprob: float) -> dict[str, Json]:
    data = engine.processor.tokenizer.token_bytes(token_id)
    # JSON has no minus infinity; OpenAI's own stand-in for it is this number.
    return {"token": data.decode("utf-8", "replace"), "logprob": max(logprob, -9999.0), "bytes": list(data)}


def _bytes_of(engine: Engine, token: TokenEvent) -> bytes:
    return engine.processor.tokenizer.token_bytes(token.token_id)


def _agree(one: bytes, other: bytes) -> bool:
    """Tell whether one begins with the other."""
    return one.startswith(other) or other.startswith(one)
