"""Say which file of a folder counts where several hold the same setting: one table, for chat and converters.

In: a model folder and the name of a setting. Out: its value, and the files that hold another one and do not count.
The order is that of transformers 5.23 (of its processor, where processor and tokenizer differ), held pair by pair.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from edge.config_json import read_json_object
from edge.errors import ConfigError
from edge.lfs import refuse_pointer
from edge.records import dataclass

_LOG = logging.getLogger(__name__)
MAX_TEXT_BYTES = 1 << 24  # of a template; published ones have 5,000

Setting = Literal["template", "images", "videos", "generation"]


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and a key of its JSON object; without a key the whole file counts."""

    file: str
    key: str | None = None

    def __str__(self) -> str:
        return self.file if self.key is None else f"{self.file} {self.key}"


@dataclass(frozen=True, slots=True)
class Found:
    """A setting's value, the place it comes from, and places of less rank that hold another value."""

    value: Any  # Any: JSON or text, narrowed by its reader
    where: str
    overruled: tuple[Place, ...]


# The first place that holds a value counts.
PRECEDENCE: Mapping[Setting, tuple[Place, ...]] = {
    "template": (
        Place("processor_config.json", "chat_template"),
        Place("chat_template.json", "chat_template"),
        Place("chat_template.jinja"),
        Place("additional_chat_templates/default.jinja"),
        Place("tokenizer_config.json", "chat_template"),
    ),
    "images": (Place("processor_config.json", "image_processor"), Place("preprocessor_config.json")),
    "videos": (
        Place("processor_config.json", "video_processor"),
        Place("video_preprocessor_config.json"),
        Place("preprocessor_config.json"),
    ),
    "generation": (Place("generation_config.json"), Place("config.json")),
}
# A file of less rank that was made for something else is no second opinion.
_NO_RIVALS = frozenset({("videos", "preprocessor_config.json"), ("generation", "config.json")})


def find_setting(folder: Path, setting: Setting) -> Found | None:
    """Find a setting in a model folder; None where no file holds it.

    Raises:
        ConfigError: A file cannot be read, or holds something else at that place.
    """
    winner: Found | None = None
    overruled: list[Place] = []
    for place in PRECEDENCE[setting]:
        value = _read(folder, place, setting)
        if value is None:
            continue
        if winner is None:
            winner = Found(value, str(folder / str(place)), ())
        elif value != winner.value and (setting, place.file) not in _NO_RIVALS:
            overruled.append(place)
    return None if winner is None else Found(winner.value, winner.where, tuple(overruled))


def say_overruled(found: Found) -> None:
    """Log the places that hold another value than the one that counts."""
    if found.overruled:
        others = ", ".join(map(str, found.overruled))
        _LOG.warning("%s counts; %s differs and does not (the order of transformers)", found.where, others)


def _read(folder: Path, place: Place, setting: Setting) -> Any:  # Any: JSON
    path = folder / place.file
    if not path.exists():
        return None
    if not place.file.endswith(".json"):
        return read_text(path)
    raw = read_json_object(path)
    value = raw if place.key is None else raw.get(place.key)
    if value is None:
        return None
    if setting == "template":
        return _default_template(value, f"{folder / str(place)}")
    if not isinstance(value, Mapping):
        raise ConfigError(f"{folder / str(place)}: expected an object, found {value!r}. Download the file again.")
    return value


def _default_template(value: Any, where: str) -> str | None:  # Any: JSON
    """Take a template itself, or the one named default of a list or an object of them."""
    if isinstance(value, str):
        return value
    named: dict[object, object] = {}
    if isinstance(value, Mapping):
        named = dict(value)
    elif isinstance(value, list):
        named = {str(item.get("name")): item.get("template") for item in value if isinstance(item, Mapping)}
    chosen = named.get("default")
    if chosen is not None and not isinstance(chosen, str):
        raise ConfigError(f"{where}: expected the text of a template, found {chosen!r}. Download the file again.")
    return chosen


def read_text(path: Path) -> str:
    """Read a small text file of a checkpoint.

    Raises:
        ConfigError: It is no plain file, too large, or not UTF-8.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: expected a file, found a folder, pipe or device. Download it again.")
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes, expected at most {MAX_TEXT_BYTES}.")
        raw = path.read_bytes()
        refuse_pointer(raw[:64], path)
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Download it again.") from None
