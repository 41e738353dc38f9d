"""Name tables between Qwen3-VL checkpoints and this model's parameters.

Parameter paths are those of published MLX checkpoints, so an MLX folder needs no renaming. Hub folders differ in
two prefixes, in the axes of the patch convolution, and in the experts, which transformers 5 saves transposed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

import mlx.core as mx

from edge.checkpoint.names.ops import Fp8Blocks, Op, Shape, Split, Transpose
from edge.checkpoint.names.table import Drop, Rule, Table, Target
from edge.config import LayerQuantization, ModelConfig, TextConfig, VisionConfig

Layout = Literal["hub", "transformers5", "mlx"]
HubLayout = Literal["hub", "transformers5"]

# our prefix -> hub prefix; the first that fits
PREFIXES = (
    ("language_model.model.", "model.language_model."),
    ("language_model.lm_head.", "lm_head."),
    ("vision_tower.", "model.visual."),
)
PATCH_EMBED = "vision_tower.patch_embed.proj.weight"
LM_HEAD = "language_model.lm_head.weight"
FP8_DTYPE = "F8_E4M3"
FP8_SCALE_SUFFIX = "_scale_inv"

_HUB_DROPS = (Drop(r"(model\.)?(language_model|visual)\..*inv_freq", "rotary frequencies are computed, not stored"),)
_MLX_DROPS = (Drop(r"(language_model|vision_tower)\..*inv_freq", "rotary frequencies are computed, not stored"),)


def expected_parameters(config: ModelConfig) -> dict[str, Shape]:
    """Return path and shape of every parameter of the unquantized model."""
    shapes = dict(_vision_parameters(config.vision))
    shapes.update(_text_parameters(config.text))
    if not config.tie_word_embeddings:
        shapes[LM_HEAD] = (config.text.vocab_size, config.text.hidden_size)
    return shapes


def hub_name(target: str) -> str:
    """Return the hub's name of a parameter that both sides store alike.

    Raises:
        KeyError: The path has none of the known prefixes.
    """
    for ours, theirs in PREFIXES:
        if target.startswith(ours):
            return theirs + target.removeprefix(ours)
    raise KeyError(target)


def hub_table(
    config: ModelConfig,
    layout: HubLayout,
    *,
    fp8_names: Collection[str] = (),
    dtype: mx.Dtype = mx.float32,
) -> Table:
    """Build the table of a hub folder.

    Args:
        config: The checkpoint.
        layout: Order of the expert axes: "hub" has [E, H, 2I] and [E, I, H], "transformers5" [E, 2I, H] and [E, H, I].
        fp8_names: Source tensors stored as FP8 codes with a block scale beside them.
        dtype: What FP8 weights are decoded to.
    """
    rules = []
    for name, shape in expected_parameters(config).items():
        if ".switch_mlp." in name:
            continue
        ops: tuple[Op, ...] = (Transpose((0, 2, 3, 4, 1)),) if name == PATCH_EMBED else ()  # (O,C,T,H,W) -> (O,T,H,W,C)
        rules.append(Rule((hub_name(name),), (Target(name, shape),), ops))
    for layer_index in range(config.text.num_layers):
        if config.text.is_sparse_layer(layer_index):
            rules += _expert_rules(config.text, layer_index, layout)
    fp8 = set(fp8_names)
    if fp8 and config.fp8 is not None:
        decode = Fp8Blocks(config.fp8.block_shape, dtype)
        rules = [_with_fp8(rule, decode) if rule.sources[0] in fp8 else rule for rule in rules]
    return Table(tuple(rules), _HUB_DROPS)


def mlx_table(config: ModelConfig, quantized: Mapping[str, LayerQuantization]) -> Table:
    """Build the table of an MLX folder: names are our own, some weights are packed.

    Args:
        config: The checkpoint.
        quantized: Module path -> how its weight is packed; modules not named hold floats.
    """
    rules = []
    for name, shape in expected_parameters(config).items():
        setting = quantized.get(name.removesuffix(".weight"))
        targets = [Target(name, shape)] if setting is None else packed_targets(name, shape, setting)
        rules += [Rule((target.name,), (target,)) for target in targets]
    return Table(tuple(rules), _MLX_DROPS)


def packed_targets(name: str, shape: Shape, setting: LayerQuantization) -> list[Target]:
    """Return weight, scales and (affine) biases of a packed weight.

    Args:
        name: Path of the weight, ending in `.weight`.
        shape: Its unpacked shape (..., inputs).
        setting: Bits, group size and mode.
    """
    module, inputs = name.removesuffix(".weight"), shape[-1]
    grouped = (*shape[:-1], inputs // setting.group_size)
    is_affine = setting.mode == "affine"
    targets = [
        Target(name, (*shape[:-1], inputs * setting.bits // 32), "U32"),
        Target(f"{module}.scales", grouped, "float" if is_affine else "U8"),
    ]
    return [*targets, Target(f"{module}.biases", grouped)] if is_affine else targets


def _text_parameters(text: TextConfig) -> Iterator[tuple[str, Shape]]:
    yield "language_model.model.embed_tokens.weight", (text.vocab_size, text.hidden_size)
    for layer_index in range(text.num_layers):
        for suffix, shape in _layer_parameters(text, is_sparse=text.is_sparse_layer(layer_index)):
            yield f"language_model.model.layers.{layer_index}.{suffix}", shape
    yield "language_model.model.norm.weight", (text.hidden_size,)


def _layer_parameters(text: TextConfig, *, is_sparse: bool) -> Iterator[tuple[str, Shape]]:
    hidden, query, key = text.hidden_size, text.num_heads * text.head_dim, text.num_kv_heads * text.head_dim
    yield "input_layernorm.weight", (hidden,)
    yield "self_attn.q_proj.weight", (query, hidden)
    yield "self_attn.k_proj.weight", (key, hidden)
    yield "self_attn.v_proj.weight", (key, hidden)
    yield "self_attn.o_proj.weight", (hidden, query)
    yield "self_attn.q_norm.weight", (text.head_dim,)
    yield "self_attn.k_norm.weight", (text.head_dim,)
    yield "post_attention_layernorm.weight", (hidden,)
    experts: Shape = ()
    if is_sparse and text.moe is not None:
        experts, inner, block = (text.moe.num_experts,), text.moe.intermediate_size, "mlp.switch_mlp"
        yield "mlp.gate.weight", (*experts, hidden)
    else:
        inner, block = text.intermediate_size, "mlp"
    yield f"{block}.gate_proj.weight", (*experts, inner, hidden)
    yield f"{block}.up_proj.weight", (*experts, inner, hidden)
    yield f"{block}.down_proj.weight", (*experts, hidden, inner)


def _vision_parameters(vision: VisionConfig) -> Iterator[tuple[str, Shape]]:
    hidden, inner, patch = vision.hidden_size, vision.intermediate_size, vision.patch_size
    merged = hidden * vision.merge_area
    yield PATCH_EMBED, (hidden, vision.temporal_patch_size, patch, patch, vision.in_channels)
    yield "vision_tower.patch_embed.proj.bias", (hidden,)
    yield "vision_tower.pos_embed.weight", (vision.num_position_embeddings, hidden)
    for block_index in range(vision.depth):
        block = f"vision_tower.blocks.{block_index}"
        yield from _norm(f"{block}.norm1", hidden)
        yield from _norm(f"{block}.norm2", hidden)
        yield from _linear(f"{block}.attn.qkv", 3 * hidden, hidden)
        yield from _linear(f"{block}.attn.proj", hidden, hidden)
        yield from _linear(f"{block}.mlp.linear_fc1", inner, hidden)
        yield from _linear(f"{block}.mlp.linear_fc2", hidden, inner)
    levels = [f"deepstack_merger_list.{level}" for level in range(len(vision.deepstack_indexes))]
    for merger in ("merger", *levels):
        path = f"vision_tower.{merger}"
        yield from _norm(f"{path}.norm", hidden if merger == "merger" else merged)  # DeepStack norms after the concat
        yield from _linear(f"{path}.linear_fc1", merged, merged)
        yield from _linear(f"{path}.linear_fc2", vision.out_hidden_size, merged)


def _norm(path: str, size: int) -> Iterator[tuple[str, Shape]]:
    yield f"{path}.weight", (size,)
    yield f"{path}.bias", (size,)


def _linear(path: str, outputs: int, inputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{path}.weight", (outputs, inputs)
    yield f"{path}.bias", (outputs,)


def _expert_rules(text: TextConfig, layer_index: int, layout: HubLayout) -> list[Rule]:
    ours = f"language_model.model.layers.{layer_index}.mlp.switch_mlp"
    theirs = f"model.language_model.layers.{layer_index}.mlp.experts"
    shapes = dict(_layer_parameters(text, is_sparse=True))
    gate, up, down = (
        Target(f"{ours}.{name}.weight", shapes[f"mlp.switch_mlp.{name}.weight"])
        for name in ("gate_proj", "up_proj", "down_proj")
    )
    swap: tuple[Op, ...] = (Transpose((0, 2, 1)),) if layout == "hub" else ()
    return [
        Rule((f"{theirs}.gate_up_proj",), (gate, up), (*swap, Split(axis=1))),  # (E, 2I, H) -> two (E, I, H)
        Rule((f"{theirs}.down_proj",), (down,), swap),
    ]


def _with_fp8(rule: Rule, decode: Fp8Blocks) -> Rule:
    name = rule.sources[0]
    return Rule((name, name + FP8_SCALE_SUFFIX), rule.targets, (decode, *rule.ops), (FP8_DTYPE, "float"))
