"""Name the places where a model's matrices see their inputs, and the matrices that share each place.

A block of the model (a decoder layer, the head) is one file of a calibration. In it, a site is a key; matrices that
read the same inputs, such as queries, keys and values, share one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LAYER = "language_model.model.layers."
HEAD = "language_model.lm_head.weight"
EMBEDDING = "language_model.model.embed_tokens.weight"
HEAD_BLOCK = "head"
# site in a block -> the matrices that read it, by what follows the layer's number
ATTENTION, MIXED, MLP, MIDDLE = "attention", "mixed", "mlp", "middle"
_READERS = {
    "self_attn.q_proj": ATTENTION,
    "self_attn.k_proj": ATTENTION,
    "self_attn.v_proj": ATTENTION,
    "self_attn.o_proj": MIXED,
    "mlp.gate": MLP,
    "mlp.gate_proj": MLP,
    "mlp.up_proj": MLP,
    "mlp.down_proj": MIDDLE,
    "mlp.switch_mlp.gate_proj": MLP,
    "mlp.switch_mlp.up_proj": MLP,
    "mlp.switch_mlp.down_proj": MIDDLE,
}
_LAYER_MATRIX = re.compile(rf"{re.escape(LAYER)}(\d+)\.(.+)\.weight")


@dataclass(frozen=True, slots=True)
class Site:
    """A place: the block whose file holds it, and its key there."""

    block: str
    key: str


def site_of(tensor: str) -> Site | None:
    """Return where a parameter's inputs were seen; None for what is no matrix of the decoder.

    Args:
        tensor: Name as in an unpacked MLX folder.
    """
    if tensor == HEAD:
        return Site(HEAD_BLOCK, "head")
    match = _LAYER_MATRIX.fullmatch(tensor)
    key = _READERS.get(match.group(2)) if match else None
    return Site(layer_block(int(match.group(1))), key) if match and key else None


def layer_block(index: int) -> str:
    """Name the block of a decoder layer."""
    return f"layer-{index:02}"
