"""Make a row's memories for a model, count their bytes before they exist, and name their form for a file.

The counts are those of the buffers as allocated: scales and biases of packed memories are in, and room is given in
steps of tokens.
"""

from __future__ import annotations

from typing import Literal

import mlx.core as mx

from edge.config import TextConfig
from edge.errors import ConfigError
from edge.kv.buffers import STEP_TOKENS, round_up
from edge.kv.layer import LayerMemory
from edge.kv.packed import PackedMemory
from edge.kv.plain import PlainMemory

KvBits = Literal[8, 4]

PLAIN_FORM = "plain"
# Form of a packed memory -> bits and group size.
_PACKED_FORMS: dict[str, tuple[KvBits, int]] = {
    f"packed-{bits}-{group_size}": (bits, group_size) for bits in (8, 4) for group_size in (64, 32)
}
_PLAIN_DTYPES = (mx.float32, mx.bfloat16, mx.float16)
_PACKED_DTYPES = [mx.uint32, mx.float32, mx.float32]
# float32 scale and bias of a group.
_GROUP_BYTES = 8


def make_memory(config: TextConfig, *, kv_bits: KvBits | None) -> list[LayerMemory]:
    """Return an empty memory for every decoder layer.

    Args:
        config: The decoder's sizes.
        kv_bits: Bits of one stored key or value; None keeps them as the model computes them.

    Raises:
        ConfigError: Packed memories do not fit the head size.
    """
    if kv_bits is None:
        return [PlainMemory() for _ in range(config.num_layers)]
    group_size = choose_group_size(config.head_dim)
    return [PackedMemory(bits=kv_bits, group_size=group_size) for _ in range(config.num_layers)]


def bytes_per_token(config: TextConfig, *, kv_bits: KvBits | None, itemsize: int) -> int:
    """Count the bytes of one token's keys and values over all layers.

    Args:
        config: The decoder's sizes.
        kv_bits: As in `make_memory`.
        itemsize: Bytes of one value that the model computes; packed memories do not depend on it.

    Raises:
        ConfigError: Packed memories do not fit the head size.
    """
    num_values = config.kv_values_per_token
    if kv_bits is None:
        return num_values * itemsize
    num_groups = num_values // choose_group_size(config.head_dim)
    return num_values * kv_bits // 8 + num_groups * _GROUP_BYTES


def memory_bytes(config: TextConfig, num_tokens: int, *, kv_bits: KvBits | None, itemsize: int) -> int:
    """Count the bytes of a row's buffers that hold so many tokens, spare room included; see `bytes_per_token`."""
    return round_up(num_tokens, STEP_TOKENS) * bytes_per_token(config, kv_bits=kv_bits, itemsize=itemsize)


def choose_group_size(head_dim: int) -> int:
    """Choose the values that share a scale: 64 where the head divides by it, else 32.

    Raises:
        ConfigError: The head divides by neither.
    """
    for group_size in (64, 32):
        if head_dim % group_size == 0:
            return group_size
    raise ConfigError(
        f"Packed keys and values need a head size divisible by 32, this model's is {head_dim}: leave kv_bits out."
    )


def memory_form(memory: LayerMemory) -> str:
    """Name the form of a memory's state, as `restore_memory` takes it."""
    if isinstance(memory, PackedMemory):
        return f"packed-{memory.bits}-{memory.group_size}"
    assert isinstance(memory, PlainMemory), f"{type(memory).__name__} has no form on disk"
    return PLAIN_FORM


def restore_memory(form: str, state: tuple[mx.array, ...]) -> LayerMemory:
    """Make the memory that had this form and state.

    Raises:
        ValueError: There is no such form, or the state is not one of it.
    """
    looks = [(array.dtype, array.shape[:-1]) for array in state]
    is_row = all(array.ndim == 4 and array.shape[0] == 1 and array.shape[1] % 2 == 0 for array in state)  # keys, values
    if form == PLAIN_FORM and is_row and len(state) == 1 and state[0].dtype in _PLAIN_DTYPES:
        return PlainMemory(state)
    if form in _PACKED_FORMS and is_row and [dtype for dtype, _ in looks] == _PACKED_DTYPES:
        bits, group_size = _PACKED_FORMS[form]
        num_groups = state[0].shape[-1] * 32 // bits // group_size
        if len({shape for _, shape in looks}) == 1 and state[1].shape[-1] == state[2].shape[-1] == num_groups:
            return PackedMemory(state=state, bits=bits, group_size=group_size)
    raise ValueError(f"expected the state of a memory of form {form!r}, found {[array.shape for array in state]}")
