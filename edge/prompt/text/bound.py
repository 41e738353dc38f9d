"""Count the least tokens that texts must become, without a tokenizer: what is far too long is refused before work.

Qwen's splitting never puts two words, or two digits, into one token, and no token is longer than the longest of the
vocabulary. Both counts are cheap, and neither is ever more than the truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from unicodedata import normalize

from edge.errors import ContextLengthError
from edge.prompt.text.tokenizer import Tokenizer

_WORD_OR_DIGIT = re.compile(r"[^\W\d_]+|\d")
# A vocabulary is not searched for its longest token before a text has this many characters for every token allowed.
_SUSPICIOUS = 16
_KEPT_ROLES = ("user", "tool")  # whose words no template leaves out


def least_tokens(text: str, tokenizer: Tokenizer, *, limit: int) -> int:
    """Return a number of tokens that a text has at least.

    Args:
        text: Any text.
        tokenizer: Its added tokens may hold several words.
        limit: More than this need not be counted.
    """
    if len(text) <= limit:
        return 0
    text = normalize("NFC", text)  # as tokenizers do before they split
    names = sorted((name for name in tokenizer.added_tokens if not name.isspace()), key=len, reverse=True)
    bare = re.sub("|".join(map(re.escape, names)), " ", text) if names else text
    counted = 0
    for _ in _WORD_OR_DIGIT.finditer(bare):
        counted += 1
        if counted > limit:
            return counted
    if len(text) > _SUSPICIOUS * limit:
        counted = max(counted, -(-len(text) // tokenizer.longest_token))
    return counted


def check_bound(messages: Sequence[Mapping[str, Any]], tokenizer: Tokenizer, limit: int) -> None:  # Any: checked JSON
    """Refuse messages that cannot fit, whatever a template makes of them.

    Args:
        messages: Normalised messages.
        tokenizer: The checkpoint's.
        limit: Tokens that fit.

    Raises:
        ContextLengthError: Their words alone are more tokens.
    """
    total = 0
    for message in messages:
        if message.get("role") in _KEPT_ROLES:
            for text in _texts(message.get("content")):
                total += least_tokens(text, tokenizer, limit=limit - total)
                if total > limit:
                    raise ContextLengthError(
                        f"The prompt has over {limit} tokens, the context holds {limit}. Shorten it.",
                        field="messages",
                    )


def _texts(content: object) -> Iterable[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (item["text"] for item in content if isinstance(item.get("text"), str))
