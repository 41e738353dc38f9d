"""Refuse fields that ask for another answer in words of older or other servers.

In: what a reader left of a request's fields. Passed over like other unknown fields, they would change the answer
without a word: a client would get free text where it asked for JSON, or no calls where it declared functions.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.server.errors import ApiError
from edge.server.fields import Fields

_FORMATS = ("guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "json_schema")
CHAT = {
    "functions": "tools",
    "audio": "nothing: answers are text",
    "grammar": 'response_format {"type": "lark", "lark": ...}',
    **dict.fromkeys(_FORMATS, "response_format"),
}
RESPONSES = {
    "functions": "tools",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "logprobs": 'include ["message.output_text.logprobs"]',
    "messages": "input",
    "continue_final_message": "it to /v1/chat/completions",
    **dict.fromkeys((*_FORMATS, "grammar"), "text.format"),
}


def refuse_elsewhere(fields: Fields, table: Mapping[str, str]) -> None:
    """Refuse fields of a table that hold something; empty ones ask for nothing.

    Args:
        fields: What was not taken yet.
        table: What to write in the place of each.

    Raises:
        ApiError: Names the first, and what to write.
    """
    for name, instead in table.items():
        if fields.any(name):
            raise ApiError("invalid_request", f"{name}: is not read here. Write {instead} instead.", param=name)
