"""Short names of the published family: `30b`, `8b-instruct`, `30b-thinking-4bit`.

In: a name. Out: the hub id of a ready folder, or the command that makes one. Sizes follow from the published parameter
counts: text at so many bits, half a bit more for scales and biases, and the vision tower in 16 bits.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from edge.errors import UsageError
from edge.records import dataclass

Edition = Literal["Instruct", "Thinking"]
DEFAULT_BITS = 4
GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """One size of the family: its name on the hub, and parameters."""

    name: str
    text_parameters: int
    vision_parameters: int

    def weight_bytes(self, bits: int) -> int:
        """Count the bytes of the weights at 3 to 8 bits in groups of 64, or at 16."""
        width = 16.0 if bits == 16 else bits + 0.5
        return int(self.text_parameters * width / 8) + 2 * self.vision_parameters


SIZES = {
    "2b": Size("2B", 1_720_574_976, 406_957_056),
    "4b": Size("4B", 4_022_468_096, 415_347_712),
    "8b": Size("8B", 8_190_735_360, 576_388_336),
    "32b": Size("32B", 32_762_123_264, 595_266_800),
    "30b": Size("30B-A3B", 30_532_122_624, 538_631_408),
    "235b": Size("235B-A22B", 235_093_634_560, 576_388_336),
}
# Bits of ready MLX folders; 16 stands for bfloat16.
READY: dict[tuple[str, Edition], tuple[int, ...]] = {
    **{
        (size, edition): (3, 4, 5, 6, 8, 16)
        for size in ("2b", "4b", "8b", "32b")
        for edition in ("Instruct", "Thinking")
    },
    ("30b", "Instruct"): (3, 4, 6, 8, 16),
    ("30b", "Thinking"): (4, 5, 8, 16),
    ("235b", "Instruct"): (3, 4),
    ("235b", "Thinking"): (3,),
}
_SHORT = re.compile(
    r"(?:qwen3-?vl-?)?(?P<size>235b|32b|30b|8b|4b|2b)(?:-?a\d+b)?"
    r"(?:-(?P<edition>instruct|thinking))?(?:-(?P<bits>\d+)-?bits?|-(?P<type>bf16|fp8))?"
)


@dataclass(frozen=True, slots=True)
class ShortName:
    """What a short name means.

    Attributes:
        size: The model's size.
        edition: Answers at once, or thinks first.
        bits: Of the text weights; 16 stands for bfloat16.
        hub_id: A ready folder; None where none is known.
        source_id: The checkpoint it is, or would be, made from.
    """

    size: Size
    edition: Edition
    bits: int
    hub_id: str | None
    source_id: str

    @property
    def weight_bytes(self) -> int:
        """About the bytes to download, and of memory."""
        return self.size.weight_bytes(self.bits)


def read_short_name(name: str) -> ShortName | None:
    """Read a short name; None if it is none.

    Raises:
        UsageError: It is one, but no such folder is known; the message has the command that makes it.
    """
    match = _SHORT.fullmatch(name.strip().lower().replace("_", "-"))
    if match is None:
        return None
    key = match["size"]
    edition: Edition = "Thinking" if match["edition"] == "thinking" else "Instruct"
    size = SIZES[key]
    source_id = f"Qwen/Qwen3-VL-{size.name}-{edition}"
    if match["type"]:
        suffix = "-FP8" if match["type"] == "fp8" else ""
        return ShortName(size, edition, 8 if suffix else 16, source_id + suffix, source_id)
    bits = int(match["bits"] or _default_bits(key, edition))
    if bits not in READY[key, edition]:
        known = ", ".join(f"{one}bit" if one < 16 else "bf16" for one in READY[key, edition])
        raise UsageError(
            f"{name}: ready folders of this model have {known}. Make another: "
            f"python -m convert mlx {source_id} qwen3-vl-{key}-{edition.lower()}-{bits}bit --recipe {bits}bit"
        )
    return ShortName(size, edition, bits, f"mlx-community/Qwen3-VL-{size.name}-{edition}-{_bits_name(bits)}", source_id)


def spell_out(model: str | Path) -> str | Path:
    """Return the hub id that a short name means; paths, hub ids and unknown names as they are.

    Args:
        model: What a user calls a model. An existing path wins.

    Raises:
        UsageError: As `read_short_name`.
    """
    if isinstance(model, Path) or "/" in model:
        return model
    if os.path.exists(model):  # unlike Path.exists, no error where a name is too long
        return model
    short = read_short_name(model)
    return model if short is None or short.hub_id is None else short.hub_id


def _default_bits(size: str, edition: Edition) -> int:
    ready = READY[size, edition]
    return DEFAULT_BITS if DEFAULT_BITS in ready else ready[0]


def _bits_name(bits: int) -> str:
    return "bf16" if bits == 16 else f"{bits}bit"
