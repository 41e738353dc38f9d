"""Turn token ids into text as they come: whole characters only, and no special tokens.

In: token ids one by one. Out: text. Joining the pieces gives the text of all tokens decoded at once.
"""

from __future__ import annotations

import codecs
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
