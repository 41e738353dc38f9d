"""Turn token ids into text as they come: whole characters only, and nothing past a stop string.

`Detokenizer`: token id -> text. `StopStrings`: text -> text until a stop string. Both hold back what is not
decided yet, so joining their pieces gives the same text however the tokens were cut.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Protocol


class TokenBytes(Protocol):
    """Where the bytes of a token come from; `edge.prompt.text.tokenizer.Tokenizer` fits."""

    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes a token stands for; none for ids without a text."""
        ...

    def is_special(self, token_id: int) -> bool:
        """Tell whether a token is a control token, which is not part of an answer's text."""
        ...


class Detokenizer:
    """Decode one answer token by token; a character split over tokens comes out whole, with its last token."""

    def __init__(self, tokenizer: TokenBytes) -> None:
        self._tokenizer = tokenizer
        # Bytes that are not UTF-8 become U+FFFD, as `tokenizers` decodes them.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """Return the characters completed by this token, perhaps none."""
        if self._tokenizer.is_special(token_id):
            return ""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def finish(self) -> str:
        """Return what is left: U+FFFD for a character that was never completed."""
        return self._decoder.decode(b"", final=True)


class StopStrings:
    """Pass text through until one of some strings appears; text that may begin one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Start a filter; an empty stop string would stop before the first character and is not allowed."""
        assert all(stops), "an empty stop string"
        self._stops = tuple(stops)
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """Return the text that is certain to come before a stop string.

        After a stop string was seen (`found`), everything is swallowed. Of several, the one that starts first
        counts, and of those the longest.
        """
        if self.found is not None:
            return ""
        if not self._stops:
            return text
        self._held += text
        hits = [(at, -len(stop), stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        undecided_at = len(self._held) - _overlap(self._held, self._stops)
        # A longer or earlier stop string that is still growing must be decided first.
        if hits and min(hits)[0] < undecided_at:
            at, _, self.found = min(hits)
            kept, self._held = self._held[:at], ""
            return kept
        kept, self._held = self._held[:undecided_at], self._held[undecided_at:]
        return kept

    def finish(self) -> str:
        """Return the held text; a stop string inside it counts."""
        hits = [(at, -len(stop), stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        kept, self._held = self._held, ""
        if self.found is None and hits:
            at, _, self.found = min(hits)
            return kept[:at]
        return kept


def _overlap(text: str, stops: Sequence[str]) -> int:
    """Length of the longest end of `text` that could still grow into a stop string."""
    longest = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:length]):
                longest = length
                break
    return longest
