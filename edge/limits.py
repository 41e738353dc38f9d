"""Bounds of one engine."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Literal

from edge.errors import RequestError
from edge.records import dataclass
from edge.units import plain_number

KEPT_BYTES = 1 << 30
KEPT_TURNS = 8
VISION_CACHE_BYTES = 1 << 29
DISK_BYTES = 8 << 30
MAX_ROWS = 16


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What an engine may use.

    Attributes:
        context_tokens: Most tokens of prompt and answer together; None takes the model's. More than the model's, up to
            four times, stretches its positions (YaRN).
        chunk_tokens: Tokens per prefill forward; None chooses by memory.
        max_rows: Most requests that run at a time; more wait in order.
        speculate: Guess tokens from what stands in the prompt and the answer so far, and let the model check several
            in one step, where measuring says that this is faster; a request may say otherwise.
        kv_bits: Bits of keys and values: None keeps the compute type, 8 halves it and more, 4 costs quality.
        kept_bytes: Keys and values kept between turns (the newest turn is always kept).
        kept_turns: Turns kept.
        vision_cache_bytes: Vision results kept.
        keep_folder: Where finished turns are kept on disk too, so that a later engine goes on without a prefill;
            None keeps them in memory only.
        keep_folder_bytes: Bytes they may take there; the oldest go first.
        wire: Keep weights, keys and values in memory that macOS does not page out. Off by default: under load and at
            the largest limit, wiring was what made macOS panic.

    Raises:
        RequestError: A value is out of range; its `field` names it.
    """

    context_tokens: int | None = None
    chunk_tokens: int | None = None
    max_rows: int = MAX_ROWS
    speculate: bool = True
    kv_bits: Literal[8, 4] | None = None
    kept_bytes: int = KEPT_BYTES
    kept_turns: int = KEPT_TURNS
    vision_cache_bytes: int = VISION_CACHE_BYTES
    keep_folder: Path | None = None
    keep_folder_bytes: int = DISK_BYTES
    wire: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for one in fields(self):
            object.__setattr__(self, one.name, plain_number(getattr(self, one.name)))
        for name in ("context_tokens", "chunk_tokens", "max_rows", "kept_turns"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise RequestError(f"{name}: expected a whole number of at least 1, found {value!r}.", field=name)
        for name in ("kept_bytes", "vision_cache_bytes", "keep_folder_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise RequestError(
                    f"{name}: expected a whole number of bytes, at least 0, found {value!r}.", field=name
                )
        if self.keep_folder is not None:
            if not isinstance(self.keep_folder, str | Path):
                raise RequestError(f"keep_folder: expected a path, found {self.keep_folder!r}.", field="keep_folder")
            object.__setattr__(self, "keep_folder", Path(self.keep_folder))
        if not isinstance(self.speculate, bool):
            raise RequestError(f"speculate: expected True or False, found {self.speculate!r}.", field="speculate")
        if not isinstance(self.wire, bool):
            raise RequestError(f"wire: expected True or False, found {self.wire!r}.", field="wire")
        if self.kv_bits not in (None, 8, 4):
            raise RequestError(f"kv_bits: expected 8 or 4, or None, found {self.kv_bits!r}.", field="kv_bits")
