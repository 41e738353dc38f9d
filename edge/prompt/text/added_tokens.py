"""Say which tokens a folder adds to its vocabulary. Up to four files name them; the rules are those of transformers.

In: a model folder, and the tokens that its tokenizer.json adds. Out: token -> id, and whether it is a control token.
A table in tokenizer_config.json stands before that of tokenizer.json, of which then only vocabulary and merges count;
without one, tokenizer.json stands before added_tokens.json. Control tokens that no table holds get the next free ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.config_json import read_json_object
from edge.errors import ConfigError
from edge.records import dataclass

Table = Mapping[str, tuple[int, bool]]  # token -> id, is a control token
Json = Mapping[str, Any]  # Any: JSON, narrowed below

CONFIG = "tokenizer_config.json"
# What `tokenizer_class` may be, and whether that class brings Qwen's own splitting of text and takes no file's.
CLASSES = {
    None: True,
    "Qwen2Tokenizer": True,
    "Qwen2TokenizerFast": True,
    "PreTrainedTokenizerFast": False,
    "TokenizersBackend": False,
}
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
FURTHER = ("extra_special_tokens", "additional_special_tokens")
PLACEHOLDERS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
_DEFAULT = "<|endoftext|>"
_DEFAULTS = {"eos_token": _DEFAULT, "unk_token": _DEFAULT, "pad_token": _DEFAULT}
# Switches that would change every prompt; published tokenizers have none of them on.
_OFF = ("add_prefix_space", "split_special_tokens")
_ENDS = {"add_bos_token": "bos_token", "add_eos_token": "eos_token"}
_STRIPS = ("lstrip", "rstrip", "single_word")


@dataclass(frozen=True, slots=True)
class AddedTokens:
    """The added tokens of a folder.

    Attributes:
        table: Those with an id.
        further: Control tokens without one.
        is_own: Text is split by Qwen's own rules, whatever tokenizer.json says.
        keeps_ends: Whether tokens that tokenizer.json puts around every text would count.
    """

    table: Table
    further: tuple[str, ...]
    is_own: bool
    keeps_ends: bool

    def numbered(self, vocabulary: Mapping[str, int]) -> dict[str, tuple[int, bool]]:
        """Return all tokens in the order of their ids; those without one follow, as the tokenizers library counts.

        Args:
            vocabulary: Token -> id, without added tokens.
        """
        numbered = dict(sorted(self.table.items(), key=lambda item: item[1][0]))
        free = max([len(vocabulary), *(number + 1 for number, _ in numbered.values())])
        for token in self.further:
            numbered[token] = (vocabulary.get(token, free), True)
            free += token not in vocabulary
        return numbered


def read_added_tokens(folder: Path, stored: Table) -> AddedTokens:
    """Read which tokens a folder adds.

    Args:
        folder: The model folder.
        stored: What its tokenizer.json adds; nothing where there is none.

    Raises:
        ConfigError: A file cannot be read, or asks for a tokenizer that is not supported.
    """
    path = folder / CONFIG
    raw: Json = read_json_object(path) if path.exists() else {}
    is_own = _check_class(raw, folder)
    has_table = "added_tokens_decoder" in raw
    older: Json = {} if has_table else _read_optional(folder / "special_tokens_map.json")
    settings = {**raw, **older}
    if has_table:
        table = _read_table(raw["added_tokens_decoder"], str(path))
        table = table if is_own else {**stored, **table}
    else:
        table = {**_read_older(folder / "added_tokens.json"), **stored}
    found = [(name, _named(settings, name, is_own=is_own)) for name in NAMED]
    found += _named_by_model(raw, str(path))
    specials = _contents([*found, *_further(raw, older, str(path))], str(path))
    _check_switches(settings, is_own=is_own, where=str(path))
    return AddedTokens(
        table={token: (number, special or token in specials) for token, (number, special) in table.items()},
        further=tuple(token for token in specials if token not in table),
        is_own=is_own,
        keeps_ends=not any(name in raw for name in _ENDS),
    )


def _check_class(raw: Json, folder: Path) -> bool:
    name, where = raw.get("tokenizer_class"), folder / CONFIG
    if name is None:
        name, where = _read_optional(folder / "config.json").get("tokenizer_class"), folder / "config.json"
    if not isinstance(name, str | None) or name not in CLASSES:
        known = ", ".join(filter(None, CLASSES))
        raise ConfigError(f"{where}: tokenizer_class is {name!r}, expected one of {known}. Take Qwen3-VL's own files.")
    return CLASSES[name]


def _check_switches(settings: Json, *, is_own: bool, where: str) -> None:
    on = [name for name in _OFF if settings.get(name)]
    on += [name for name, token in _ENDS.items() if settings.get(name) and _named(settings, token, is_own=is_own)]
    if on:
        raise ConfigError(
            f"{where}: {on[0]} is on, which changes every prompt and is not supported. Take Qwen3-VL's own files."
        )


def _named(settings: Json, name: str, *, is_own: bool) -> Any:  # Any: JSON
    return settings.get(name, _DEFAULTS.get(name) if is_own else None)


def _named_by_model(raw: Json, where: str) -> list[tuple[str, Any]]:  # Any: JSON
    """Return control tokens under further names; those of pictures and videos must be the ones templates write."""
    own = {name: value for name, value in raw.items() if name.endswith("_token") and isinstance(value, str)}
    listed = raw.get(FURTHER[0])
    for name, value in {**own, **(listed if isinstance(listed, Mapping) else {})}.items():
        if value != PLACEHOLDERS.get(name, value):
            raise ConfigError(f"{where}: {name} is {value!r}, only {PLACEHOLDERS[name]!r} is supported.")
    return [(name, value) for name, value in own.items() if name not in NAMED]


def _further(raw: Json, older: Json, where: str) -> list[tuple[str, Any]]:  # Any: JSON
    """Return the control tokens of lists; the older file's second list counts only where there is no other."""
    chosen = [(name, raw[name]) for name in FURTHER if raw.get(name)][:1]
    chosen += [(name, older[name]) for name in FURTHER[: 1 if chosen else None] if older.get(name)]
    found: list[tuple[str, Any]] = []  # Any: JSON
    for name, value in chosen:
        values = list(value.values()) if isinstance(value, Mapping) else value
        if not isinstance(values, list):
            raise ConfigError(f"{where}: {name} is {value!r}, expected a list of tokens. Download it again.")
        found += [(name, item) for item in values]
    return found


def _contents(found: list[tuple[str, Any]], where: str) -> dict[str, None]:  # Any: JSON
    """Return each token once, in the order in which they would be added."""
    tokens: dict[str, None] = {}
    for name, value in found:
        content = value.get("content") if isinstance(value, Mapping) else value
        if content is None:
            continue
        if not isinstance(content, str) or not content:
            raise ConfigError(f"{where}: {name} is {value!r}, expected a token. Download the file again.")
        tokens[content] = None
    return tokens


def _read_table(entries: object, where: str) -> dict[str, tuple[int, bool]]:
    if not isinstance(entries, Mapping):
        raise ConfigError(f"{where}: added_tokens_decoder is {entries!r}, expected an object. Download it again.")
    table = {}
    for number, entry in entries.items():
        if not isinstance(entry, Mapping) or not number.isdecimal() or len(number) > 9:
            raise ConfigError(f"{where}: added_tokens_decoder has {number!r}: {entry!r}, expected an id and a token.")
        content = entry.get("content")
        if not isinstance(content, str) or not content or content in table:
            raise ConfigError(f"{where}: added_tokens_decoder {number} has content {content!r}, expected a new token.")
        if any(entry.get(name) for name in _STRIPS):
            raise ConfigError(f"{where}: the added token {content!r} strips its neighbours, which is not supported.")
        table[content] = (int(number), bool(entry.get("special")))
    return table


def _read_older(path: Path) -> dict[str, tuple[int, bool]]:
    raw = _read_optional(path)
    if not all(type(number) is int and 0 <= number < 10**9 for number in raw.values()):
        raise ConfigError(f"{path}: expected an id for every token. Download it again.")
    return {token: (number, False) for token, number in raw.items() if token}


def _read_optional(path: Path) -> Json:
    return read_json_object(path) if path.exists() else {}
