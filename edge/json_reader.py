"""Read values of a JSON object with their types; errors name file and key."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from edge.errors import ConfigError

# JSON values are untyped until they are read here.
Json = Mapping[str, Any]

CHECK = "Check that the file is complete and unchanged."
OTHER = "Choose another checkpoint."


class JsonReader:
    """Typed access to a JSON object that names file and key when something is missing or wrong."""

    def __init__(self, raw: Json, where: str) -> None:
        self.raw = raw
        self.where = where

    def child(self, key: str) -> JsonReader:
        """Return the object under a key."""
        value = self.raw.get(key)
        if not isinstance(value, Mapping):
            raise ConfigError(f"{self.where}: {key} should be an object, found {value!r}. {CHECK}")
        return JsonReader(value, f"{self.where} {key}")

    def value(self, *names: str, default: object = None) -> Any:  # Any: JSON, narrowed by the callers
        """Return the value of the first name that has one, else the default; without both, say what is missing."""
        for name in names:
            if self.raw.get(name) is not None:
                return self.raw[name]
        if default is None:
            raise ConfigError(f"{self.where}: {' or '.join(names)} is missing. {CHECK}")
        return default

    def integer(self, name: str, default: int | None = None, *, least: int = 0) -> int:
        """Return a whole number."""
        value = self.value(name, default=default)
        if not _is_integer(value) or value < least:
            raise self.wrong(name, f"a whole number of at least {least}", value)
        return int(value)

    def size(self, *names: str, most: int = 2**31 - 1) -> int:
        """Return a whole number of at least 1."""
        value = self.value(*names)
        if not _is_integer(value) or not 1 <= value <= most:
            raise self.wrong(names[0], f"a whole number from 1 to {most}", value)
        return int(value)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a positive number."""
        value = self.value(name, default=default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= sys.float_info.max:
            raise self.wrong(name, "a positive number", value)
        return float(value)

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        value = self.value(name)
        if not isinstance(value, list) or not all(_is_integer(item) for item in value):
            raise self.wrong(name, "a list of whole numbers", value)
        return tuple(value)

    def ids(self, name: str) -> tuple[int, ...]:
        """Return one token id or a list of them; nothing where the key is missing."""
        value = self.raw.get(name)
        values = () if value is None else tuple(value) if isinstance(value, list) else (value,)
        if not all(_is_integer(item) for item in values):
            raise self.wrong(name, "a token id or a list of them", value)
        return values

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self.raw.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false", value)
        return default if value is None else value

    def wrong(self, name: str, expected: str, found: object) -> ConfigError:
        """Make the error of a wrong value."""
        return ConfigError(f"{self.where}: {name} should be {expected}, found {found!r}. {CHECK}")

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """Return one of some texts."""
        value = self.value(name, default=default)
        if value not in choices:
            raise ConfigError(f"{self.where}: {name} {value!r} is not supported, only {', '.join(choices)}. {OTHER}")
        return str(value)

    def only(self, name: str, supported: object) -> None:
        """Refuse any value but one; a missing key counts as supported."""
        value = self.raw.get(name, supported)
        if value is not None and value != supported:
            raise ConfigError(f"{self.where}: {name} {value!r} is not supported, only {supported!r}. {OTHER}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
