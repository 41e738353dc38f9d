"""Say in an answer's headers what of the request was not understood."""

from __future__ import annotations

from collections.abc import Sequence

MAX_CHARACTERS = 500


def ignored_headers(ignored: Sequence[str]) -> dict[str, str]:
    """Return the header that names ignored fields; none when there are none."""
    if not ignored:
        return {}
    text = ", ".join(ignored)[:MAX_CHARACTERS]
    return {"x-ignored-fields": "".join(one if " " <= one <= "~" else "?" for one in text)}
