"""Put the beginning of an answer behind a prompt, so that the model goes on with it.

In: a last message of the assistant, and the prompt's text up to the opening of the assistant's turn. Out: the prompt's
text. Where the template opens a thought, the message's own stands there, or an empty one: what was begun is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.errors import PromptError

Json = Any
EMPTY_THOUGHT = "\n\n</think>\n\n"
"""What follows `<think>` in a thought without words, as templates write it in earlier turns."""


def check_begun(messages: Sequence[Mapping[str, Json]]) -> None:
    """Refuse messages whose last one is no answer that can be continued.

    Raises:
        PromptError: It is not the assistant's, has no text or more than text, or stands alone.
    """
    where, last = f"messages[{len(messages) - 1}]", messages[-1]
    if last["role"] != "assistant":
        raise PromptError(f"{where}: expected an answer of the assistant to go on with, found role {last['role']!r}.")
    if last.get("tool_calls"):
        raise PromptError(f"{where}: an answer with tool calls is not continued. Give their results.")
    if not isinstance(last["content"], str) and any(item["type"] != "text" for item in last["content"]):
        raise PromptError(f"{where}: expected text to go on with, found a picture or video.")
    text = begun_text(last)
    if not text:
        raise PromptError(f"{where}: expected text to go on with, found none. Leave the message out.")
    if "<think>" in text or "</think>" in text:
        raise PromptError(f"{where}: a thought is not continued. Give it as reasoning_content, and text after it.")
    if len(messages) < 2:
        raise PromptError(f"{where}: expected a question before the answer to go on with, found none.")


def begun_text(message: Mapping[str, Json]) -> str:
    """Return what the assistant has said."""
    content = message["content"]
    return str(content) if isinstance(content, str) else "".join(item["text"] for item in content)


def add_begun(text: str, message: Mapping[str, Json], *, opens_thought: bool) -> str:
    """Return the prompt's text with the beginning of the answer behind it.

    Args:
        text: Ends with the opening of the assistant's turn.
        message: A message that `check_begun` let pass, guarded.
        opens_thought: Whether the opening ends with `<think>`.
    """
    if opens_thought:
        thought = str(message.get("reasoning_content", "")).strip("\n")
        text = text.rstrip() + (f"\n{thought}\n</think>\n\n" if thought else EMPTY_THOUGHT)
    return text + begun_text(message)
