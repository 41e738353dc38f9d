"""Take fields out of a JSON body one by one, each checked for its type; what nobody took is told, not lost.

In: a JSON object of a client. Out: values. `null` counts as absent, as in all of these protocols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.server.errors import ApiError

Json = Any
_TYPES: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


class Fields:
    """The fields of one object."""

    def __init__(self, body: Mapping[str, Json], *, where: str = "") -> None:
        """Start taking.

        Args:
            body: The object.
            where: What stands before a field's name in messages, such as "reasoning.".
        """
        self._left = {key: value for key, value in body.items() if value is not None}
        self._where = where

    def text(self, name: str) -> str | None:
        """Take text.

        Raises:
            ApiError: It is something else; so for all of these.
        """
        return self._take(name, str)  # type: ignore[no-any-return]  # checked there

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Take true or false."""
        value = self._take(name, bool)
        return default if value is None else bool(value)

    def wish(self, name: str) -> bool | None:
        """Take true or false, or None where the client leaves it to the server."""
        return self._take(name, bool)  # type: ignore[no-any-return]  # checked there

    def whole(self, name: str) -> int | None:
        """Take a whole number; 3.0 counts as 3."""
        value = self._left.get(name)
        if isinstance(value, float) and value.is_integer():
            self._left[name] = int(value)
        return self._take(name, int)  # type: ignore[no-any-return]  # checked there

    def between(self, name: str, least: int, most: int) -> int | None:
        """Take a whole number within bounds."""
        value = self.whole(name)
        if value is not None and not least <= value <= most:
            raise self.wrong(name, f"{least} to {most}", value)
        return value

    def number(self, name: str) -> float | None:
        """Take a number."""
        value = self._left.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            self._left[name] = float(value) if abs(value) < 1 << 1000 else float("inf")
        return self._take(name, float)  # type: ignore[no-any-return]  # checked there

    def items(self, name: str) -> list[Json]:
        """Take a list; empty when absent."""
        return self._take(name, list) or []

    def object(self, name: str) -> dict[str, Json] | None:
        """Take an object."""
        return self._take(name, dict)  # type: ignore[no-any-return]  # checked there

    def inner(self, name: str) -> Fields:
        """Take the fields of an object; none when absent."""
        return Fields(self.object(name) or {}, where=f"{self._where}{name}.")

    def any(self, name: str) -> Json:
        """Take whatever is there."""
        return self._left.pop(name, None)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """Take one of some words."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise self.wrong(name, f"one of {', '.join(choices)}", value)
        return value

    def ignore(self, *names: str) -> None:
        """Take fields that change nothing about an answer."""
        for name in names:
            self._left.pop(name, None)

    @property
    def left(self) -> list[str]:
        """Names that nobody took."""
        return [f"{self._where}{name}" for name in self._left]

    def wrong(self, name: str, expected: str, found: Json) -> ApiError:
        """Make the error for a value that will not do."""
        shown = repr(found)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        where = f"{self._where}{name}"
        return ApiError("invalid_request", f"{where}: expected {expected}, found {shown}.", param=where)

    def _take(self, name: str, kind: type) -> Json:
        value = self._left.pop(name, None)
        if value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
            return value
        raise self.wrong(name, _TYPES[kind], value)
