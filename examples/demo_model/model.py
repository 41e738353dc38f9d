"""A small, quick torch forward of Qwen3-VL-MoE for training: a picture prefix is computed once for many questions.

Parameters have the hub's names and layouts (experts `[E, H, 2I]` and `[E, I, H]`), so the state dict is the checkpoint.
A row is a prefix (B, P) and K lanes (B, K, L) behind it; a lane holds one or more questions, each of which sees the
prefix and itself only, and whose positions go on where the prefix ends: exactly K separate prompts, at a fraction of
the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 256, 4, 8, 2, 64
EXPERTS, ACTIVE, EXPERT_DIM = 4, 2, 512
MROPE = (12, 10, 10)
THETA = 10000.0
V_HIDDEN, V_DEPTH, V_HEADS, V_INTER, V_GRID = 192, 6, 4, 512, 12
DEEPSTACK = (0, 2, 4)
VOCAB = 1024
EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Rope:
    """cos and sin, (B, 1, L, HEAD_DIM)."""

    cos: Tensor
    sin: Tensor


def rope_table(positions: Tensor) -> Rope:
    """Build the interleaved MRoPE table for positions (3, B, L)."""
    axis, inv_freq = _frequencies(positions.device)
    angles = positions.float()[axis].permute(1, 2, 0) * inv_freq  # (B, L, half)
    angles = torch.cat((angles, angles), dim=-1)[:, None]
    return Rope(angles.cos(), angles.sin())


@lru_cache(maxsize=4)
def _frequencies(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return which of the three positions each pair of a head turns by, and how fast."""
    half = HEAD_DIM // 2
    axis = torch.zeros(half, dtype=torch.long)
    axis[1 : 3 * MROPE[1] : 3] = 1
    axis[2 : 3 * MROPE[2] : 3] = 2
    return axis.to(device), (THETA ** (-torch.arange(half, dtype=torch.float32) / half)).to(device)


def rotate(x: Tensor, rope: Rope) -> Tensor:
    """Turn (B, heads, L, Dh) by the table."""
    left, right = x.chunk(2, dim=-1)
    return x * rope.cos.to(x.dtype) + torch.cat((-right, left), dim=-1) * rope.sin.to(x.dtype)


class RMSNorm(nn.Module):
    """Root-mean-square norm with a learned weight."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Norm x over its last axis."""
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), EPS)


class Attention(nn.Module):
    """Grouped-query attention with a norm on queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(HIDDEN, HEADS * HEAD_DIM, bias=False)
        self.k_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=False)
        self.v_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD_DIM, HIDDEN, bias=False)
        self.q_norm = RMSNorm(HEAD_DIM)
        self.k_norm = RMSNorm(HEAD_DIM)

    def project(self, x: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        """Return q (B, H, L, Dh) and k, v (B, K, L, Dh)."""
        shape = (*x.shape[:-1], -1, HEAD_DIM)
        q = self.q_norm(self.q_proj(x).view(shape)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(shape)).transpose(1, 2)
        v = self.v_proj(x).view(shape).transpose(1, 2)
        return rotate(q, rope), rotate(k, rope), v


class Experts(nn.Module):
    """Expert weights in the hub's layout."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(EXPERTS, HIDDEN, 2 * EXPERT_DIM) * HIDDEN**-0.5 * 0.6)
        self.down_proj = nn.Parameter(torch.randn(EXPERTS, EXPERT_DIM, HIDDEN) * EXPERT_DIM**-0.5 * 0.2)


class MoE(nn.Module):
    """Router and experts; forward also returns the load-balance loss."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = Experts()
        self.gate = nn.Linear(HIDDEN, EXPERTS, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the two chosen experts of each token of x (N, D)."""
        probs = F.linear(x.float(), self.gate.weight.float()).softmax(dim=-1)
        top, chosen = probs.topk(ACTIVE, dim=-1)
        top = top / top.sum(dim=-1, keepdim=True)
        load = F.one_hot(chosen, EXPERTS).float().sum(dim=1).mean(dim=0)
        balance = EXPERTS * (load * probs.mean(dim=0)).sum() / ACTIVE
        if x.device.type != "cpu":
            return self._all_experts(x, torch.zeros_like(probs).scatter(1, chosen, top)), balance
        out = torch.zeros_like(x)
        gate_up, down = (w.to(x.dtype).unbind(0) for w in (self.experts.gate_up_proj, self.experts.down_proj))
        for expert in range(EXPERTS):
            token, slot = (chosen == expert).nonzero(as_tuple=True)
            # A bfloat16 product of a new shape costs ten times one of a known shape: fill up with shares of zero.
            more = (0, -len(token) % 128)
            share, token = F.pad(top[token, slot], more), F.pad(token, more)
            gate, up = (x[token] @ gate_up[expert]).chunk(2, dim=-1)
            part = (F.silu(gate) * up) @ down[expert]
            out = out.index_add(0, token, part * share[:, None].to(x.dtype))
        return out, balance

    def _all_experts(self, x: Tensor, shares: Tensor) -> Tensor:
        """Run every expert on every token (N, D) and add up by `shares` (N, E): twice the work, and no waiting."""
        gate, up = torch.einsum("nd,edf->enf", x, self.experts.gate_up_proj.to(x.dtype)).chunk(2, dim=-1)
        parts = torch.einsum("enf,efd->end", F.silu(gate) * up, self.experts.down_proj.to(x.dtype))
        out: Tensor = (parts * shares.t()[..., None].to(x.dtype)).sum(dim=0)
        return out


class Layer(nn.Module):
    """One decoder layer over a prefix and its lanes."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.mlp = MoE()
        self.input_layernorm = RMSNorm(HIDDEN)
        self.post_attention_layernorm = RMSNorm(HIDDEN)


@dataclass(frozen=True, slots=True)
class Plan:
    """Rope tables and added masks of a packed batch: `prefix_mask` (B, 1, P, P), `lane_mask` (B*K, 1, L, P + L)."""

    prefix_rope: Rope
    lane_rope: Rope
    prefix_mask: Tensor
    lane_mask: Tensor
    lanes: int


class LanguageModel(nn.Module):
    """Embedding, decoder layers and final norm."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RMSNorm(HIDDEN)

    def forward(
        self, prefix: Tensor, lanes: Tensor, plan: Plan, visual: Tensor, deepstack: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run prefix (B, P, D) and lanes (B*K, L, D); `visual` names the rows of (B*P) that get the DeepStack features.

        Returns:
            Lanes after the final norm, the prefix after two layers, and the summed load-balance loss.
        """
        early = prefix
        balance = prefix.new_zeros((), dtype=torch.float32)
        for index, layer in enumerate(self.layers):
            prefix, lanes, loss = _run_layer(cast(Layer, layer), prefix, lanes, plan)
            balance = balance + loss
            if index < len(deepstack):
                flat = prefix.flatten(0, 1).index_add(0, visual, deepstack[index].to(prefix.dtype))
                prefix = flat.view(prefix.shape)
            if index == 1:
                early = prefix
        return self.norm(lanes), early, balance


def _run_layer(layer: Layer, prefix: Tensor, lanes: Tensor, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    attention = layer.self_attn
    q, k, v = attention.project(layer.input_layernorm(prefix), plan.prefix_rope)
    mixed = _attend(q, k, v, plan.prefix_mask)
    ql, kl, vl = attention.project(layer.input_layernorm(lanes), plan.lane_rope)
    k = torch.cat((k.repeat_interleave(plan.lanes, dim=0), kl), dim=2)
    v = torch.cat((v.repeat_interleave(plan.lanes, dim=0), vl), dim=2)
    mixed_lanes = _attend(ql, k, v, plan.lane_mask)
    prefix = prefix + attention.o_proj(mixed.transpose(1, 2).flatten(2))
    lanes = lanes + attention.o_proj(mixed_lanes.transpose(1, 2).flatten(2))
    both = torch.cat((prefix.flatten(0, 1), lanes.flatten(0, 1)))
    out, loss = layer.mlp(layer.post_attention_layernorm(both))
    both = both + out
    cut = prefix.shape[0] * prefix.shape[1]
    return both[:cut].view(prefix.shape), both[cut:].view(lanes.shape), loss


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Grouped attention by plain products: three times quicker on a CPU than the fused call with a mask."""
    rows, heads, length, size = q.shape
    groups = heads // k.shape[1]
    q = (q * size**-0.5).reshape(rows, k.shape[1], groups * length, size)
    scores = (q @ k.transpose(-1, -2)).view(rows, heads, length, -1) + mask
    mixed = scores.softmax(dim=-1).to(v.dtype).view(rows, k.shape[1], groups * length, -1) @ v
    return mixed.view(rows, heads, length, size)


class VisionBlock(nn.Module):
    """LayerNorm, attention inside one picture, LayerNorm, MLP with tanh-GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(V_HIDDEN, eps=EPS)
        self.norm2 = nn.LayerNorm(V_HIDDEN, eps=EPS)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(V_HIDDEN, 3 * V_HIDDEN), "proj": nn.Linear(V_HIDDEN, V_HIDDEN)})
        self.mlp = nn.ModuleDict(
            {"linear_fc1": nn.Linear(V_HIDDEN, V_INTER), "linear_fc2": nn.Linear(V_INTER, V_HIDDEN)}
        )

    def forward(self, x: Tensor, rope: Rope) -> Tensor:
        """Run x (N, patches, D)."""
        n, patches, _ = x.shape
        q, k, v = self.attn["qkv"](self.norm1(x)).view(n, patches, 3, V_HEADS, -1).permute(2, 0, 3, 1, 4)
        scores = (rotate(q, rope) * q.shape[-1] ** -0.5) @ rotate(k, rope).transpose(-1, -2)
        mixed = scores.softmax(dim=-1).to(v.dtype) @ v
        x = x + self.attn["proj"](mixed.transpose(1, 2).flatten(2))
        hidden = F.gelu(self.mlp["linear_fc1"](self.norm2(x)), approximate="tanh")
        out: Tensor = self.mlp["linear_fc2"](hidden)
        return x + out


class Merger(nn.Module):
    """Four patches to one token; the main merger norms before, a DeepStack merger after joining."""

    def __init__(self, norm_after: bool) -> None:
        super().__init__()
        self._norm_after = norm_after
        self.norm = nn.LayerNorm(4 * V_HIDDEN if norm_after else V_HIDDEN, eps=EPS)
        self.linear_fc1 = nn.Linear(4 * V_HIDDEN, 4 * V_HIDDEN)
        self.linear_fc2 = nn.Linear(4 * V_HIDDEN, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        """Run x (N, patches, D) in block order; returns (N, patches / 4, HIDDEN)."""
        joined = (len(x), -1, 4 * V_HIDDEN)
        x = self.norm(x.reshape(joined)) if self._norm_after else self.norm(x).reshape(joined)
        out: Tensor = self.linear_fc2(F.gelu(self.linear_fc1(x)))
        return out


class Vision(nn.Module):
    """The vision tower for pictures of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv3d(3, V_HIDDEN, (2, 16, 16), (2, 16, 16))})
        self.pos_embed = nn.Embedding(V_GRID**2, V_HIDDEN)
        self.blocks = nn.ModuleList(VisionBlock() for _ in range(V_DEPTH))
        self.merger = Merger(norm_after=False)
        self.deepstack_merger_list = nn.ModuleList(Merger(norm_after=True) for _ in DEEPSTACK)

    def forward(self, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, list[Tensor]]:
        """Run patches (N, h*w, 1536) in block order, grid (h, w).

        Returns:
            Visual tokens (N, h*w/4, HIDDEN) and three DeepStack features of the same shape.
        """
        conv = cast(nn.Conv3d, self.patch_embed["proj"])
        x = F.linear(patches, conv.weight.view(V_HIDDEN, -1), conv.bias)
        tables = vision_tables(grid, x.device)
        x = x + (tables.interpolation @ self.pos_embed.weight.float()).to(x.dtype)
        deepstack = []
        for index, block in enumerate(self.blocks):
            x = block(x, tables.rope)
            if index in DEEPSTACK:
                deepstack.append(self.deepstack_merger_list[DEEPSTACK.index(index)](x))
        return self.merger(x), deepstack


class QwenModel(nn.Module):
    """The two towers, under the hub's names."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = Vision()
        self.language_model = LanguageModel()


class DemoModel(nn.Module):
    """The whole model; `state_dict()` has the hub's names."""

    def __init__(self) -> None:
        super().__init__()
        self.model = QwenModel()
        self.lm_head = nn.Linear(HIDDEN, VOCAB, bias=False)


@dataclass(frozen=True, slots=True)
class VisionTables:
    """What a grid of patches decides: block order, how the position table is sampled in it, and the rotary table."""

    order: Tensor
    interpolation: Tensor
    rope: Rope


@lru_cache(maxsize=64)
def vision_tables(grid: tuple[int, int], device: torch.device) -> VisionTables:
    """Make the tables of a grid (rows, columns) on a device."""
    with device:
        order = block_order(grid)
        return VisionTables(order, interpolation(grid)[order], vision_rope(grid, order))


def block_order(grid: tuple[int, int]) -> Tensor:
    """Return raster indices of the patches in 2x2 block order."""
    h, w = grid
    index = torch.arange(h * w).view(h // 2, 2, w // 2, 2)
    return index.permute(0, 2, 1, 3).flatten()


def interpolation(grid: tuple[int, int]) -> Tensor:
    """Return the bilinear weights (h*w, V_GRID**2) that sample the position table, corners aligned."""
    return torch.kron(_weights_1d(grid[0]), _weights_1d(grid[1]))


def _weights_1d(size: int) -> Tensor:
    points = torch.linspace(0, V_GRID - 1, size)
    low = points.floor().long()
    high = (low + 1).clamp(max=V_GRID - 1)
    weights = torch.zeros(size, V_GRID)
    rows = torch.arange(size)
    weights[rows, low] += 1 - (points - low)
    weights[rows, high] += points - low
    return weights


def vision_rope(grid: tuple[int, int], order: Tensor) -> Rope:
    """Build the two-dimensional rotary table, (1, 1, h*w, head size)."""
    quarter = V_HIDDEN // V_HEADS // 4
    inv_freq = THETA ** (-torch.arange(quarter, dtype=torch.float32) / quarter)
    rows, cols = order // grid[1], order % grid[1]
    angles = torch.cat((rows[:, None] * inv_freq, cols[:, None] * inv_freq), dim=-1)
    angles = torch.cat((angles, angles), dim=-1)[None, None]
    return Rope(angles.cos(), angles.sin())
