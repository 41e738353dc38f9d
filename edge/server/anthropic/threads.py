"""Say that no thread is held here, in the words after which Anthropic's clients send the whole conversation.

In: the field `thread`. With `create` a client asks the server to hold a conversation, which changes no answer; with
`continue` it sends only what is new. Answered as it stands, that would be a conversation without its beginning.
"""

from __future__ import annotations

from edge.server.errors import ApiError
from edge.server.fields import Fields

NOT_FOUND = "thread_not_found"
"""The code in `error.details` that makes the client's tool runner and its threads send everything again."""


def read_thread(fields: Fields) -> list[str]:
    """Take `thread`; return its name where a client asks for one to be held.

    Raises:
        ApiError: The conversation goes on from an answer that is not kept, or the field has another shape.
    """
    thread = fields.inner("thread")
    kind = thread.choice("type", ("create", "continue"))
    if kind == "continue":
        name = str(thread.text("previous_message_id"))[:80]
        message = f"thread: {name!r} is not held here, as no answer is. Send the whole conversation as messages."
        raise ApiError("not_found", message, param="thread", code=NOT_FOUND)
    if kind is None and thread.left:
        raise thread.wrong("type", "create or continue", None)
    return ["thread"] if kind else []
