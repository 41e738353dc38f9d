"""The demo recipe's packed forward gives the logits that transformers gives for each question alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Qwen3VLMoeForConditionalGeneration

from edge.loading import DEMO_FOLDER
from examples.demo_model import pack, trainer
from examples.demo_model.choosing import WEIGHTS
from examples.demo_model.model import EXPERTS, HIDDEN, MoE

RELATIVE_ERROR = 1e-5
WEIGHTS_FILE = DEMO_FOLDER / "model.safetensors"


@pytest.fixture(scope="module")
def reference() -> Any:  # Any: torch without annotations
    model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(DEMO_FOLDER, dtype=torch.float32)
    return model.eval()


@pytest.fixture(scope="module")
def packer() -> pack.Packer:
    return pack.Packer(Tokenizer.from_file(str(DEMO_FOLDER / "tokenizer.json")))


def packed_logits(batch: pack.Batch) -> Tensor:
    made = trainer.Trainer()
    made.net.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS_FILE).items()})
    net = made.net.model
    prefix_ids = torch.from_numpy(batch.prefix_ids)
    prefix = net.language_model.embed_tokens(prefix_ids)
    features, deep = net.visual(trainer.patchify(torch.from_numpy(batch.frames), batch.grid), batch.grid)
    visual = torch.from_numpy(np.flatnonzero(np.isin(batch.prefix_ids, trainer.PADS)))
    prefix = prefix.flatten(0, 1).index_copy(0, visual, features.flatten(0, 1)).view(prefix.shape)
    lanes = net.language_model.embed_tokens(torch.from_numpy(batch.lane_ids)).flatten(0, 1)
    plan = trainer.make_plan(batch, made.device)
    hidden, _, _ = net.language_model(prefix, lanes, plan, visual, [one.flatten(0, 1) for one in deep])
    logits: Tensor = made.net.lm_head(hidden)
    return logits


def alone_logits(reference: Any, batch: pack.Batch, row: int, lane: int, question: int) -> tuple[Tensor, np.ndarray]:
    """Return the logits of one question behind its prefix, and where it lies in its lane."""
    where = np.flatnonzero(batch.lane_seg[row, lane] == question)
    prefix = batch.prefix_ids[row, : batch.prefix_len[row]]
    ids = torch.from_numpy(np.concatenate((prefix, batch.lane_ids[row, lane, where])))[None]
    units = [(prefix == pad).sum() * 4 // (batch.grid[0] * batch.grid[1]) for pad in trainer.PADS]
    assert units[1] == 0, "a clip counts as one grid; these rows have pictures"
    before = sum(_units(batch, index) for index in range(row))
    frames = torch.from_numpy(batch.frames[before : before + int(units[0])])
    out = reference(
        input_ids=ids,
        pixel_values=trainer.patchify(frames, batch.grid).flatten(0, 1),
        image_grid_thw=torch.tensor([[1, *batch.grid]] * len(frames)),
        mm_token_type_ids=(ids == trainer.PADS[0]).int(),
    )
    logits: Tensor = out.logits[0, len(prefix) :]
    return logits, where


def _units(batch: pack.Batch, row: int) -> int:
    pads = np.isin(batch.prefix_ids[row], trainer.PADS).sum()
    return int(pads * 4 // (batch.grid[0] * batch.grid[1]))


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@torch.no_grad()
@pytest.mark.parametrize("kind", ["image", "wide", "pair", "lists"])
def test_a_packed_question_has_the_logits_of_the_question_alone(kind: str, reference: Any, packer: pack.Packer) -> None:
    batch = packer.batch(kind, random.Random(3), rows=2, noise=0.0, mix=WEIGHTS)
    logits = packed_logits(batch)
    lanes = batch.lane_ids.shape[1]
    for row in range(2):
        question = int(batch.lane_seg[row, -1].max())
        alone, where = alone_logits(reference, batch, row, lanes - 1, question)
        assert relative_error(logits[row * lanes + lanes - 1, where], alone) <= RELATIVE_ERROR


@torch.no_grad()
def test_rows_and_columns_of_a_wide_picture_must_not_be_swapped(reference: Any, packer: pack.Packer) -> None:
    batch = packer.batch("wide", random.Random(3), rows=1, noise=0.0, mix=WEIGHTS)
    assert batch.grid[0] != batch.grid[1]
    alone, where = alone_logits(reference, batch, 0, 0, 0)
    positions = batch.prefix_pos.copy()
    batch.prefix_pos[1], batch.prefix_pos[2] = positions[2], positions[1]
    assert relative_error(packed_logits(batch)[0, where], alone) > 100 * RELATIVE_ERROR


@torch.no_grad()
def test_all_experts_at_once_give_what_the_chosen_ones_give() -> None:
    torch.manual_seed(0)
    moe = MoE()
    torch.nn.init.normal_(moe.gate.weight, std=0.2)
    rows = torch.randn(37, HIDDEN)
    probs = (rows @ moe.gate.weight.t()).softmax(dim=-1)
    top, chosen = probs.topk(2, dim=-1)
    shares = torch.zeros(37, EXPERTS).scatter(1, chosen, top / top.sum(dim=-1, keepdim=True))
    assert relative_error(moe._all_experts(rows, shares), moe(rows)[0]) <= RELATIVE_ERROR
    assert relative_error(moe._all_experts(rows, shares.roll(1, dims=1)), moe(rows)[0]) > 0.1
