"""Name tables between llama.cpp's GGUF files and this model's parameters.

Most tensors are only renamed: GGUF keeps experts as (E, I, H) and (E, H, I) as this model does, and norms as they are.
The patch convolution is two tensors, one per frame. Read the other way round, the same tables write files.
Tensors come in the order of llama.cpp's converter: hub names sorted, with layers by number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.checkpoint.names.hub import PATCH_EMBED, expected_parameters
from edge.checkpoint.names.ops import Inverse, Op, Transpose, Unstack
from edge.checkpoint.names.table import Drop, Rule, Table, Target
from edge.config import ModelConfig

# our module in a decoder layer -> theirs in blk.N
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "mlp.switch_mlp.down_proj": "ffn_down_exps",
    "mlp.switch_mlp.gate_proj": "ffn_gate_exps",
    "mlp.switch_mlp.up_proj": "ffn_up_exps",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.k_proj": "attn_k",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.v_proj": "attn_v",
}
# our module in a vision block -> theirs in v.blk.N
BLOCK_NAMES = {
    "attn.proj": "attn_out",
    "attn.qkv": "attn_qkv",
    "mlp.linear_fc1": "ffn_up",
    "mlp.linear_fc2": "ffn_down",
    "norm1": "ln1",
    "norm2": "ln2",
}
MERGER_NAMES = {"norm": "norm", "linear_fc1": "fc1", "linear_fc2": "fc2"}  # in v.deepstack.N, N a block's number
TOP_NAMES = {
    "language_model.lm_head": "output",
    "language_model.model.embed_tokens": "token_embd",
    "language_model.model.norm": "output_norm",
    "vision_tower.merger.linear_fc1": "mm.0",
    "vision_tower.merger.linear_fc2": "mm.2",
    "vision_tower.merger.norm": "v.post_ln",
    "vision_tower.patch_embed.proj": "v.patch_embd",
    "vision_tower.pos_embed": "v.position_embd",
}
PATCH_FRAMES = ("v.patch_embd.weight", "v.patch_embd.weight.1")

_TEXT_DROPS = (Drop(r"rope_freqs\.weight", "rotary frequencies are computed, not stored"),)


def text_table(config: ModelConfig) -> Table:
    """Build the table of the text file, in the order of llama.cpp's converter."""
    return Table(tuple(_rules(config, "language_model.")), _TEXT_DROPS)


def projector_table(config: ModelConfig) -> Table:
    """Build the table of the projector file, in the order of llama.cpp's converter."""
    return Table(tuple(_rules(config, "vision_tower.")))


def gguf_name(parameter: str, deepstack_indexes: tuple[int, ...]) -> str:
    """Return llama.cpp's name of a parameter.

    Args:
        parameter: Path, such as `language_model.model.layers.0.self_attn.q_proj.weight`.
        deepstack_indexes: Vision blocks whose output goes to the decoder; their numbers are part of the names.

    Raises:
        KeyError: The path is not one of this model's.
    """
    module, _, suffix = parameter.rpartition(".")
    if module in TOP_NAMES:
        return f"{TOP_NAMES[module]}.{suffix}"
    match = re.fullmatch(
        r"(language_model\.model\.layers|vision_tower\.blocks|vision_tower\.deepstack_merger_list)\.(\d+)\.(.+)", module
    )
    if match is None:
        raise KeyError(parameter)
    part, number, inner = match[1], int(match[2]), match[3]
    if part.startswith("language_model"):
        return f"blk.{number}.{LAYER_NAMES[inner]}.{suffix}"
    if part.endswith("blocks"):
        return f"v.blk.{number}.{BLOCK_NAMES[inner]}.{suffix}"
    return f"v.deepstack.{deepstack_indexes[number]}.{MERGER_NAMES[inner]}.{suffix}"


def _rules(config: ModelConfig, prefix: str) -> Iterator[Rule]:
    shapes = expected_parameters(config)
    for name in sorted((name for name in shapes if name.startswith(prefix)), key=_order):
        target = Target(name, shapes[name])
        if name == PATCH_EMBED:
            num_frames = config.vision.temporal_patch_size
            hidden, _, height, width, channels = target.shape
            join = Inverse(Unstack(axis=2, parts=num_frames), ((hidden, channels, height, width),) * num_frames)
            ops: tuple[Op, ...] = (join, Transpose((0, 2, 3, 4, 1)))  # (O, C, T, H, W) -> (O, T, H, W, C)
            yield Rule(PATCH_FRAMES, (target,), ops)
        else:
            yield Rule((gguf_name(name, config.vision.deepstack_indexes),), (target,))


def _order(name: str) -> tuple[object, ...]:
    """Sort as the hub's names do, numbers by value; the experts of a hub file come as down, then gate and up."""
    hub = name.replace("language_model.lm_head", "!").replace(".switch_mlp.", ".experts.").replace("embed_tokens", "0")
    return tuple((0, int(word), "") if word.isdecimal() else (1, 0, word) for word in hub.split("."))
