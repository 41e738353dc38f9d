"""Join projections of loaded weights so that a decode step launches fewer kernels.

Files keep the separate names; this is a step after loading. Per layer and token it saves query+key+value (3 -> 1),
their norms and rope (4 -> 3), and gate+up (2 -> 1). Rows of a matrix are independent, packed or not, so joining
changes no number but by the order of sums inside a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from edge.config import TextConfig
from edge.model.attention import Attention
from edge.model.moe import MLP, SwitchGLU, SwitchLinear
from edge.model.quantized import QuantizedSwitchLinear
from edge.model.rope import Rope, apply_rope
from edge.model.text import DecoderLayer


class FusedAttention(Attention):
    """`Attention` with one projection for queries, keys and values, and one norm and rope for queries and keys."""

    def __init__(self, config: TextConfig, *, qkv_proj: nn.Linear, o_proj: nn.Linear, qk_norm_weight: mx.array) -> None:
        nn.Module.__init__(self)
        self.config = config
        self.qkv_proj = qkv_proj
        self.o_proj = o_proj
        self.qk_norm_weight = qk_norm_weight  # (H + K, Dh)

    def project(self, hidden: mx.array, rope: Rope) -> tuple[mx.array, mx.array, mx.array]:
        """Return rotated queries (B, H, L, Dh), rotated keys and values (B, K, L, Dh)."""
        config = self.config
        heads = mx.unflatten(self.qkv_proj(hidden), -1, (-1, config.head_dim))  # (B, L, H + 2K, Dh)
        num_rotated = config.num_heads + config.num_kv_heads
        values = heads[:, :, num_rotated:].transpose(0, 2, 1, 3)
        normed = mx.fast.rms_norm(heads[:, :, :num_rotated], None, config.rms_norm_eps) * self.qk_norm_weight
        rotated = apply_rope(rope, normed.transpose(0, 2, 1, 3))  # (B, H + K, L, Dh)
        return rotated[:, : config.num_heads], rotated[:, config.num_heads :], values


class FusedMLP(MLP):
    """`MLP` with one projection for gate and up."""

    def __init__(self, *, gate_up_proj: nn.Linear, down_proj: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.gate_up_proj = gate_up_proj
        self.down_proj = down_proj

    def gate_and_up(self, hidden: mx.array) -> tuple[mx.array, mx.array]:
        """Return the two halves of SwiGLU, (B, L, I) each."""
        gate, up = mx.split(self.gate_up_proj(hidden), 2, axis=-1)
        return gate, up


class FusedSwitchGLU(SwitchGLU):
    """`SwitchGLU` with one projection for gate and up."""

    def __init__(self, *, gate_up_proj: SwitchLinear, down_proj: SwitchLinear) -> None:
        nn.Module.__init__(self)
        self.gate_up_proj = gate_up_proj
        self.down_proj = down_proj

    def gate_and_up(self, rows: mx.array, experts: mx.array, *, is_sorted: bool) -> tuple[mx.array, mx.array]:
        """Return the two halves of SwiGLU, (..., 1, I) each."""
        gate, up = mx.split(self.gate_up_proj(rows, experts, is_sorted=is_sorted), 2, axis=-1)
        return gate, up


def fuse_layer(layer: DecoderLayer) -> None:
    """Join the projections of one decoder layer in place, where they are stored alike.

    Evaluate `layer.parameters()` after each layer: until then both copies of its weights stay in memory.

    Args:
        layer: A layer with loaded weights; parts stored with unlike bits are left as they are.
    """
    attention, mlp = layer.self_attn, layer.mlp
    qkv_proj = _join([attention.q_proj, attention.k_proj, attention.v_proj])
    replaced: dict[str, nn.Module] = {}
    if qkv_proj is not None:
        replaced["self_attn"] = FusedAttention(
            attention.config, qkv_proj=qkv_proj, o_proj=attention.o_proj, qk_norm_weight=_joined_norms(attention)
        )
    if isinstance(mlp, MLP):
        gate_up_proj = _join([mlp.gate_proj, mlp.up_proj])
        if gate_up_proj is not None:
            replaced["mlp"] = FusedMLP(gate_up_proj=gate_up_proj, down_proj=mlp.down_proj)
    else:
        switch = mlp.switch_mlp
        gate_up_proj = _join([switch.gate_proj, switch.up_proj])
        if gate_up_proj is not None:
            mlp.update_modules({"switch_mlp": FusedSwitchGLU(gate_up_proj=gate_up_proj, down_proj=switch.down_proj)})
    layer.update_modules(replaced)


def _joined_norms(attention: Attention) -> mx.array:
    config = attention.config
    parts = [(attention.q_norm, config.num_heads), (attention.k_norm, config.num_kv_heads)]
    return mx.concatenate([mx.broadcast_to(norm.weight, (count, config.head_dim)) for norm, count in parts])


# Any: packed layers stand in for plain ones, as everywhere after `quantize_modules`.
def _join(parts: Sequence[nn.Module]) -> Any:
    """Stack the outputs of matrices with equal inputs; None if they are stored differently."""
    arrays = [dict(part.parameters()) for part in parts]
    if any(_stored_as(part) != _stored_as(parts[0]) for part in parts):
        return None
    first = parts[0]
    joined = {name: mx.concatenate([own[name] for own in arrays], axis=-2) for name in arrays[0]}
    num_outputs, num_inputs = joined["weight"].shape[-2:]
    module: nn.Module
    match first:
        case nn.QuantizedLinear():
            num_inputs = num_inputs * 32 // first.bits
            module = nn.QuantizedLinear(num_inputs, num_outputs, False, first.group_size, first.bits, first.mode)
        case nn.Linear():
            module = nn.Linear(num_inputs, num_outputs, bias=False)
        case QuantizedSwitchLinear():
            num_inputs = num_inputs * 32 // first.setting.bits
            module = QuantizedSwitchLinear(num_inputs, num_outputs, len(joined["weight"]), first.setting)
        case SwitchLinear():
            module = SwitchLinear(num_inputs, num_outputs, len(joined["weight"]))
        case _:
            return None
    module.update(joined)
    return module


def _stored_as(module: nn.Module) -> tuple[object, ...]:
    match module:
        case nn.QuantizedLinear():
            return ("packed", module.group_size, module.bits, module.mode)
        case QuantizedSwitchLinear():
            return ("packed", module.setting)
    return ("plain", module.weight.dtype)
