"""The one border of the chat: whatever failed becomes one line, in the words of the command line.

In: an exception. Out: a line and an exit code. Settings keep their Python names inside the library; here they get the
names of the options, or of `/set` in a talk.
"""

from __future__ import annotations

import os
import re

from edge.errors import EdgeError, UsageError
from edge.usage import file_failure

FAILURE, INTERRUPTED = 1, 130
OPTIONS = {
    "max_tokens": "--max-tokens",
    "thinking_budget": "--think",
    "min_pixels": "--min-pixels",
    "max_pixels": "--max-pixels",
    "top_p": "--top-p",
    "top_k": "--top-k",
    "min_p": "--min-p",
    "repetition_penalty": "--repetition-penalty",
    "presence_penalty": "--presence-penalty",
    "context_tokens": "--context",
    "kv_bits": "--kv-bits",
    "draft": "--draft",
    "wire": "--wire",
    "temperature": "--temperature",
    "seed": "--seed",
    "stop": "--stop",
    "schema": "--schema",
    "fps": "--fps",
}
_PASS = {"a video": "video", "an image": "image"}
_PASS_IT = re.compile(r"Pass it as (a video|an image)\.")
_UNMISTAKABLE = re.compile(r"(?<![\w-])(" + "|".join(name for name in OPTIONS if "_" in name) + r")\b")


def explain(error: BaseException, *, in_talk: bool = False) -> tuple[str, int]:
    """Say in one line what failed, and which exit code that is.

    Args:
        error: Anything that came up to the border.
        in_talk: Name settings as `/set` has them, instead of options.
    """
    if isinstance(error, EdgeError):
        return in_options(str(error), field=error.field, in_talk=in_talk), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, MemoryError):
        return "the memory is used up. Use a smaller picture, a shorter context or a smaller model.", FAILURE
    if isinstance(error, UnicodeError):
        return f"text that cannot be read or written: {error}. Use UTF-8.", FAILURE
    if isinstance(error, OSError) and error.strerror:
        return file_failure(error), FAILURE
    name = type(error).__name__
    return f"internal error, please report: {name}: {error} (EDGE_DEBUG=1 shows where)", FAILURE


def in_options(message: str, *, field: str | None = None, in_talk: bool = False) -> str:
    """Put the names of options in the place of Python's names.

    Args:
        message: A line from the library.
        field: The setting it is about, which may be named by a word that is also an ordinary one.
        in_talk: Name settings as `/set` has them.
    """

    def name(match: re.Match[str]) -> str:
        option = OPTIONS[match[1]]
        return option.removeprefix("--") if in_talk else option

    changed = _UNMISTAKABLE.sub(name, message)
    if field in OPTIONS and message.startswith(f"{field}:"):
        changed = (OPTIONS[field].removeprefix("--") if in_talk else OPTIONS[field]) + changed[changed.index(":") :]
    if in_talk and changed != message:
        changed += " (/set NAME VALUE)"
    mark = "/" if in_talk else "--"
    return _PASS_IT.sub(lambda match: f"Show it with {mark}{_PASS[match[1]]}.", changed)


def wants_traceback() -> bool:
    """Whether a developer asked to see where an internal error came from."""
    return bool(os.environ.get("EDGE_DEBUG"))


def shown(name: object) -> str:
    """Write a file's name, whatever bytes it has, in at most 120 characters."""
    text = os.fsdecode(name) if isinstance(name, bytes) else str(name)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 120 else f"{text[:58]}...{text[-58:]}"


def usage_error(error: EdgeError) -> UsageError:
    """Turn a refused value of the command line into wrong usage."""
    return UsageError(str(error), field=error.field)
