"""Which block type each tensor of a text file or projector gets: llama.cpp's rules as data.

A file type has a base type and, for a few kinds of tensors, choices with a condition; the first that holds wins.
Source: llama.cpp's quantization rules as of b9190 (`src/llama-quant.cpp`), for the two Qwen3-VL architectures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.checkpoint.ggml.types import TYPES, BlockType
from edge.checkpoint.names.ops import Shape
from edge.config import TextConfig
from edge.errors import UsageError


@dataclass(frozen=True, slots=True)
class Layer:
    """What a condition may depend on: a layer (0 outside of layers), the model, and how it is converted."""

    index: int
    text: TextConfig
    is_tied: bool = False
    has_imatrix: bool = False

    @property
    def num_experts(self) -> int:
        """Experts per layer, 0 for a dense model."""
        return self.text.moe.num_experts if self.text.moe else 0


Condition = Callable[[Layer], bool]
Choices = tuple[tuple[Condition, str], ...]


def _always(layer: Layer) -> bool:
    return True


def _more_bits(layer: Layer) -> bool:
    """First and last eighth, and every third layer between."""
    eighth, num = layer.text.num_layers // 8, layer.text.num_layers
    return layer.index < eighth or layer.index >= 7 * num // 8 or (layer.index - eighth) % 3 == 2


def _first_part(divisor: int) -> Condition:
    return lambda layer: layer.index < layer.text.num_layers // divisor


def _first_layers(count: int) -> Condition:
    return lambda layer: layer.index < count


def _is_grouped(layer: Layer) -> bool:
    """Four or more query heads share a key head."""
    return layer.text.num_heads // layer.text.num_kv_heads >= 4


def _first_with_imatrix(layer: Layer) -> bool:
    return layer.has_imatrix and _first_part(8)(layer)


def _first_without_imatrix(layer: Layer) -> bool:
    return not layer.has_imatrix and _first_part(8)(layer)


def _more_bits_of_8_experts(layer: Layer) -> bool:
    return layer.num_experts == 8 and _more_bits(layer)


@dataclass(frozen=True, slots=True)
class FileType:
    """One value of --type.

    Attributes:
        name: As llama.cpp spells it.
        number: `general.file_type` in the file.
        base: Type of every matrix without a rule.
        choices: Kind of tensor -> conditional types.
        raises_8_experts: Whether attn_output gets Q5_K in models with exactly 8 experts.
    """

    name: str
    number: int
    base: str
    choices: Mapping[str, Choices] = field(default_factory=dict)
    raises_8_experts: bool = False


def _only(kind: str) -> Choices:
    return ((_always, kind),)


_MORE = ((_more_bits, "Q6_K"),)
_IQ4 = {"attn_v": ((_is_grouped, "Q5_K"),), "ffn_down": ((_first_without_imatrix, "Q5_K"),)}
_LIST = (
    FileType("F32", 0, "F32"),
    FileType("F16", 1, "F16"),
    FileType("BF16", 32, "BF16"),
    FileType("Q8_0", 7, "Q8_0"),
    FileType("Q6_K", 18, "Q6_K"),
    FileType("Q5_K_M", 17, "Q5_K", {"attn_v": _MORE, "ffn_down": _MORE}),
    FileType("Q5_K_S", 16, "Q5_K"),
    FileType("Q4_K_M", 15, "Q4_K", {"attn_v": _MORE, "ffn_down": _MORE}, raises_8_experts=True),
    FileType(
        "Q4_K_S",
        14,
        "Q4_K",
        {"attn_v": ((_first_layers(4), "Q5_K"),), "ffn_down": ((_first_part(8), "Q5_K"),)},
        raises_8_experts=True,
    ),
    FileType("Q3_K_L", 13, "Q3_K", {kind: _only("Q5_K") for kind in ("attn_v", "ffn_down", "attn_output")}),
    FileType(
        "Q3_K_M",
        12,
        "Q3_K",
        {
            "attn_v": ((_first_layers(2), "Q5_K"), (_always, "Q4_K")),
            "ffn_down": ((_first_part(16), "Q5_K"), (_always, "Q4_K")),
            "attn_output": _only("Q4_K"),
        },
        raises_8_experts=True,
    ),
    FileType("Q3_K_S", 11, "Q3_K", raises_8_experts=True),
    FileType(
        "Q2_K",
        10,
        "Q2_K",
        {
            "attn_v": ((_is_grouped, "Q4_K"), (_always, "Q3_K")),
            "ffn_down": _only("Q3_K"),
            "attn_output": _only("Q3_K"),
        },
        raises_8_experts=True,
    ),
    FileType("Q5_0", 8, "Q5_0", {"ffn_down": ((_first_with_imatrix, "Q5_1"),)}),
    FileType("Q5_1", 9, "Q5_1"),
    FileType("Q4_0", 2, "Q4_0", {"ffn_down": ((_first_with_imatrix, "Q4_1"),)}),
    FileType("Q4_1", 3, "Q4_1"),
    FileType("IQ4_XS", 30, "IQ4_XS", _IQ4, raises_8_experts=True),
    FileType("IQ4_NL", 25, "IQ4_NL", _IQ4, raises_8_experts=True),
    FileType(
        "IQ3_M",
        27,
        "IQ3_S",
        {
            "attn_v": _only("Q4_K"),
            "ffn_down": ((_first_part(8), "Q4_K"), (_more_bits_of_8_experts, "Q4_K")),
            "attn_output": _only("Q4_K"),
        },
        raises_8_experts=True,
    ),
    FileType("MXFP4_MOE", 38, "MXFP4"),
)
FILE_TYPES: Mapping[str, FileType] = {kind.name: kind for kind in _LIST}
PROJECTOR_TYPES: Mapping[str, FileType] = {name: FILE_TYPES[name] for name in ("F32", "F16", "BF16", "Q8_0")}

# Where a row is not a whole number of blocks of 256: the type with blocks of 32; where that does not fit either: F16.
FALLBACKS = {
    "Q2_K": "Q4_0",
    "Q3_K": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
    "IQ3_S": "IQ4_NL",
    "IQ4_XS": "IQ4_NL",
}


def choose_file_type(name: str, choices: Mapping[str, FileType] = FILE_TYPES, *, flag: str = "--type") -> FileType:
    """Find a file type by its name, in any case.

    Args:
        name: As the user gave it.
        choices: What there is.
        flag: Where it was given.

    Raises:
        UsageError: There is none of that name.
    """
    found = choices.get(name.upper())
    if found is None:
        rest = " or none" if choices is PROJECTOR_TYPES else ""
        raise UsageError(f"{flag}: expected a type out of {', '.join(choices)}{rest}, found {name!r}. See --help.")
    return found


def text_tensor_type(name: str, shape: Shape, file_type: FileType, layer: Layer) -> BlockType:
    """Choose the type of a tensor of the text file.

    Args:
        name: In the file, such as `blk.3.ffn_down_exps.weight`.
        shape: Slowest axis first.
        file_type: What the whole file is to be.
        layer: Its layer (index 0 for tensors outside of layers), and the model.
    """
    if len(shape) < 2 or "_norm" in name or ".ffn_gate_inp." in name:
        return TYPES["F32"]
    base = TYPES[file_type.base]
    if base.is_float:
        return base
    kind = _kind(name)
    return _fitting(TYPES[_matrix_type(kind, shape, file_type, layer)], shape[-1])


def projector_tensor_type(name: str, shape: Shape, file_type: FileType) -> BlockType:
    """Choose the type of a tensor of the projector, as llama.cpp's converter does."""
    if name.startswith("v.patch_embd.weight"):
        return TYPES["F16" if file_type.name == "F16" else "F32"]
    if len(shape) < 2 or name.startswith("v.position_embd."):
        return TYPES["F32"]
    base = TYPES[file_type.base]
    return base if base.fits(shape[-1]) else TYPES["F16"]


def _kind(name: str) -> str:
    """Name the kinds that rules tell apart; experts count with their dense twins."""
    match = re.fullmatch(r"(?:blk\.\d+\.)?(\w+?)(?:_exps)?\.weight", name)
    assert match is not None, f"{name} is not a matrix of a text file"
    return match[1]


def _matrix_type(kind: str, shape: Shape, file_type: FileType, layer: Layer) -> str:
    is_output = kind == "output" or (kind == "token_embd" and layer.is_tied)  # the tied table is the output too
    if file_type.name == "MXFP4_MOE":
        return "MXFP4" if len(shape) == 3 and not is_output else "Q8_0"
    base = TYPES[file_type.base]
    if is_output:
        return "Q8_0" if base.name == "Q8_0" or not base.fits(shape[-1]) else "Q6_K"
    if layer.num_experts == 8 and kind in ("attn_k", "attn_v"):
        return "Q8_0"
    if layer.num_experts == 8 and kind == "attn_output":
        return "Q5_K" if file_type.raises_8_experts else base.name
    choices = file_type.choices.get(kind, ())
    return next((chosen for condition, chosen in choices if condition(layer)), base.name)


def _fitting(kind: BlockType, row_values: int) -> BlockType:
    if kind.fits(row_values):
        return kind
    fallback = TYPES[FALLBACKS[kind.name]] if kind.name in FALLBACKS else None
    return fallback if fallback is not None and fallback.fits(row_values) else TYPES["F16"]
