"""Say in an answer's headers what of the request was not understood."""

from __future__ import annotations

from collections.abc import Sequence

MAX_CHARACTERS = 500


def ignored_headers(ignored: Sequence[str]) -> dict[str, str]:
    """Return the header that names ignored fields; none when there are none."""
    if not ignored:
        return {}
    text = ", ".join(name.strip() or '""' for name in ignored)[:MAX_CHARACTERS]
    # A value with a space at either end is no header: the connection would end without an answer.
    return {"x-ignored-fields": "".join(one if " " <= one <= "~" else "?" for one in text).strip()}
