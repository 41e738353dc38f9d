"""The parts of the decoder against transformers: norms, rope, attention, experts, layers.

Measured (float32, CPU): 1e-7 to 5e-7; the bound is 1e-5.
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
import torch

from edge.kv.plain import PlainMemory
from edge.model.rope import attention_scale, make_rope, turn_heads, weight_halves
from edge.model.text import Decoder
from tests.parity.cases import Picture, make_case
from tests.parity.reference import KINDS, Kind, TorchModel, loaded_model, reference_model, relative_error

TOLERANCE = 1e-5
CASE = make_case(2, Picture((1, 4, 6), seed=1), 3)
TEXT_POSITIONS = np.broadcast_to(np.arange(11, 11 + CASE.length), (3, 1, CASE.length))
IMAGE_POSITIONS = CASE.positions[:, None]


def decoder(kind: Kind = "moe") -> Decoder:
    return loaded_model(kind).language_model.model


def reference(kind: Kind = "moe") -> TorchModel:
    return reference_model(kind).model.language_model


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def causal(length: int) -> torch.Tensor:
    return torch.full((length, length), float("-inf")).triu(1)[None, None]


@pytest.mark.parametrize("positions", [TEXT_POSITIONS, IMAGE_POSITIONS], ids=["text", "image"])
@pytest.mark.parametrize("is_yarn", [False, True])
def test_rope_equals_the_reference(positions: np.ndarray, is_yarn: bool) -> None:
    heads = rows(1, 4, CASE.length, 24)
    model = reference_model("moe", is_yarn=is_yarn).model.language_model
    cos, sin = model.rotary_emb(torch.zeros(1), torch.tensor(positions.copy()))
    from transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe import apply_rotary_pos_emb

    expected, _ = apply_rotary_pos_emb(torch.tensor(heads), torch.tensor(heads), cos, sin)
    config = loaded_model("moe", is_yarn=is_yarn).config.text
    factor = (attention_scale(config.rope, 24) * 24**0.5) ** 0.5  # YaRN's, which is kept in the attention scale here
    rope = make_rope(positions, config=config.rope, head_dim=24)
    ones = weight_halves(mx.ones((4, 24)))
    found = turn_heads(rope, mx.array(heads), weights=ones, raw=mx.array(heads), num_turned=4) * factor
    assert relative_error(found, expected) <= TOLERANCE


@pytest.mark.parametrize("positions", [TEXT_POSITIONS, IMAGE_POSITIONS], ids=["text", "image"])
def test_attention_equals_the_reference(positions: np.ndarray) -> None:
    hidden = rows(1, CASE.length, 40)
    embedded = reference().rotary_emb(torch.zeros(1), torch.tensor(positions.copy()))
    expected, _ = (
        reference()
        .layers[1]
        .self_attn(torch.tensor(hidden), position_embeddings=embedded, attention_mask=causal(CASE.length))
    )
    rope = make_rope(positions, config=loaded_model("moe").config.text.rope, head_dim=24)
    found = decoder().layers[1].self_attn(mx.array(hidden), rope=rope, memory=[PlainMemory()])
    assert relative_error(found, expected) <= TOLERANCE


@pytest.mark.parametrize("num_rows", [3, 31, 32, 150])
def test_sparse_block_equals_the_reference_with_and_without_sorting(num_rows: int) -> None:
    hidden = rows(1, num_rows, 40)
    expected = reference().layers[2].mlp(torch.tensor(hidden))
    assert (
        relative_error(decoder().layers[2].mlp(mx.array(hidden), residual=mx.zeros(hidden.shape)), expected)
        <= TOLERANCE
    )


def test_dense_feed_forward_equals_the_reference() -> None:
    hidden = rows(2, 7, 40)
    expected = reference("dense").layers[2].mlp(torch.tensor(hidden))
    assert (
        relative_error(decoder("dense").layers[2].mlp(mx.array(hidden), residual=mx.zeros(hidden.shape)), expected)
        <= TOLERANCE
    )


@pytest.mark.parametrize("kind", KINDS)
def test_layer_equals_the_reference(kind: Kind) -> None:
    hidden = rows(1, CASE.length, 40)
    embedded = reference(kind).rotary_emb(torch.zeros(1), torch.tensor(IMAGE_POSITIONS))
    expected = reference(kind).layers[3](
        torch.tensor(hidden), position_embeddings=embedded, attention_mask=causal(CASE.length)
    )
    rope = make_rope(IMAGE_POSITIONS, config=loaded_model(kind).config.text.rope, head_dim=24)
    found = decoder(kind).layers[3](mx.array(hidden), rope=rope, memory=None)
    assert relative_error(found, expected) <= TOLERANCE


def test_final_norm_and_logits_equal_the_reference() -> None:
    hidden = rows(1, 5, 40)
    model = reference_model("moe")
    expected = model.lm_head(model.model.language_model.norm(torch.tensor(hidden)))
    assert relative_error(loaded_model("moe").language_model.logits(mx.array(hidden)), expected) <= TOLERANCE
