"""Read what is whole of a JSON object that was cut off.

In: the beginning of an object's text. Out: an object of the members that came whole. A text or a number at the end is
left out: the rest of it may have said something else. Lists and objects at the end hold what came whole of them.
"""

from __future__ import annotations

import json
from typing import Any

from edge.text.json_scan import JsonScanner, State

Json = Any


def whole_members(text: str) -> dict[str, Json]:
    """Return the members of an object that stand whole in its beginning; none where the text is no such beginning."""
    scanner = JsonScanner()
    end, closers = 0, ""
    for at, character in enumerate(text):
        state = scanner.step(character)
        if state is State.BROKEN:
            return {}
        if state in (State.FIRST_KEY, State.FIRST_ITEM, State.AFTER_VALUE, State.DONE):
            end, closers = at + 1, scanner.closers
        elif character == "," and state in (State.KEY, State.VALUE):  # ends a number without a state of its own
            end, closers = at, scanner.closers
    found = json.loads(text[:end] + closers) if end else {}
    return found if isinstance(found, dict) else {}
