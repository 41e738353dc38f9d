"""The vision tower against transformers, part by part.

Measured (float32, CPU): 1e-7 to 6e-7 in every part; the bound is 1e-5, mutants must exceed 1e-3 (the swapped GELU
kinds differ by 5e-4 at most in value, so 1e-4 there).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch

import edge.model.vision
import edge.model.vision_attention
import edge.model.vision_positions
from edge.model.elementwise import gelu_erf, gelu_tanh
from edge.model.types import VisionOutput
from edge.model.vision import VisionTower
from edge.model.vision_attention import attend_in_blocks
from edge.model.vision_positions import position_taps, rotary_angles
from edge.products import by_mlx
from tests.parity.cases import Grid, Picture
from tests.parity.reference import TorchModel, loaded_model, reference_model, relative_error

TOLERANCE = 1e-5
MUTANT = 1e-3
GRIDS: list[list[Grid]] = [[(1, 4, 6)], [(3, 4, 10)], [(1, 4, 6), (1, 8, 2)], [(2, 6, 4), (1, 2, 8), (3, 4, 2)]]
WIDTH = 36


def tower() -> VisionTower:
    return loaded_model("moe").vision_tower


def reference() -> TorchModel:
    return reference_model("moe").model.visual


def patches_of(grids: list[Grid]) -> np.ndarray:
    return np.concatenate([Picture(grid, seed=index).patches for index, grid in enumerate(grids)])


@lru_cache(maxsize=8)
def reference_output(index: int) -> tuple[np.ndarray, ...]:
    grids = GRIDS[index]
    with torch.no_grad():
        output = reference()(torch.tensor(patches_of(grids)), grid_thw=torch.tensor(grids))
    return tuple(array.double().numpy() for array in (output.pooler_output, *output.deepstack_features))


def errors(index: int) -> list[float]:
    """Return the errors of features and every DeepStack level."""
    output: VisionOutput = tower()(mx.array(patches_of(GRIDS[index])), GRIDS[index])
    found = (output.features, *output.deepstack)
    return [relative_error(a, b) for a, b in zip(found, reference_output(index), strict=True)]


def random_rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("index", range(len(GRIDS)))
def test_features_and_every_deepstack_level_equal_the_reference(index: int) -> None:
    assert max(errors(index)) <= TOLERANCE


@pytest.mark.parametrize("index", [1, 3])
def test_steps_give_every_block_and_the_output_of_one_call(index: int) -> None:
    steps = loaded_model("moe").vision_steps(mx.array(patches_of(GRIDS[index])), GRIDS[index])
    hidden = [next(steps) for _ in range(4)]
    mx.eval(hidden)
    with pytest.raises(StopIteration) as end:
        next(steps)
    output: VisionOutput = end.value.value
    found = (output.features, *output.deepstack)
    assert all(rows.shape == (len(patches_of(GRIDS[index])), WIDTH) for rows in hidden)
    assert relative_error(tower().merger(hidden[-1]), output.features) <= 1e-6
    errors_of_steps = [relative_error(a, b) for a, b in zip(found, reference_output(index), strict=True)]
    assert max(errors_of_steps) <= TOLERANCE


def test_a_step_evaluates_nothing_of_later_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    right = edge.model.vision.VisionBlock.__call__

    def counted(self: Any, hidden: mx.array, **options: Any) -> mx.array:  # Any: the block's own arguments
        calls.append(1)
        return right(self, hidden, **options)

    monkeypatch.setattr(edge.model.vision.VisionBlock, "__call__", counted)
    steps = tower().steps(mx.array(patches_of(GRIDS[0])), GRIDS[0])
    assert not calls
    for count in (1, 2, 3):
        next(steps)
        assert len(calls) == count
    steps.close()
    assert len(calls) == 3


def test_media_encoded_together_equal_media_encoded_alone() -> None:
    grids = GRIDS[3]
    together = tower()(mx.array(patches_of(grids)), grids)
    alone = [tower()(mx.array(Picture(grid, seed=i).patches), [grid]) for i, grid in enumerate(grids)]
    assert relative_error(mx.concatenate([output.features for output in alone]), together.features) <= 1e-6


def test_bfloat16_patches_of_float32_values_are_cast_to_the_weights_type() -> None:
    output = tower()(mx.array(patches_of(GRIDS[0])).astype(mx.bfloat16), GRIDS[0])
    assert output.features.dtype == mx.float32


def test_patch_embedding_equals_the_reference() -> None:
    rows = patches_of(GRIDS[0])
    expected = reference().patch_embed(torch.tensor(rows))
    assert relative_error(tower().patch_embed(mx.array(rows)), expected) <= TOLERANCE


def test_position_embeddings_equal_the_reference() -> None:
    from transformers.vision_utils import get_vision_interpolation_indices_and_weights

    grids = GRIDS[3]
    indices, weights = get_vision_interpolation_indices_and_weights(
        torch.tensor(grids), num_grid_per_side=7, mode="bilinear", align_corners=True, spatial_merge_size=2
    )
    expected = (reference().pos_embed(indices) * weights[:, :, None]).sum(1)
    assert relative_error(tower().position_embeddings(grids), expected) <= TOLERANCE


def test_rotary_angles_equal_the_reference() -> None:
    from transformers.vision_utils import get_vision_position_ids

    position_ids = get_vision_position_ids(torch.tensor(GRIDS[3]), 2)
    cos, _ = reference().rotary_pos_emb(torch.zeros(1), position_ids)
    angles = rotary_angles(GRIDS[3], tower().config)
    assert relative_error(np.cos(np.concatenate([angles, angles], axis=1)), cos) <= TOLERANCE


def test_block_equals_the_reference() -> None:
    grids = GRIDS[3]
    rows = random_rows(len(patches_of(grids)), WIDTH)
    angles = rotary_angles(grids, tower().config)
    both = torch.tensor(np.concatenate([angles, angles], axis=1))
    lengths = [0, *np.cumsum([h * w for t, h, w in grids for _ in range(t)]).tolist()]
    expected = reference().blocks[1](
        torch.tensor(rows), cu_seqlens=torch.tensor(lengths), position_embeddings=(both.cos(), both.sin())
    )
    cos, sin = mx.array(np.cos(angles)[:, None]), mx.array(np.sin(angles)[:, None])
    found = tower().blocks[1](mx.array(rows), cos=cos, sin=sin, grids=grids)
    assert relative_error(found, expected) <= TOLERANCE


@pytest.mark.parametrize("cut_patches", [1, 4, 10, 4096])
def test_feed_forward_equals_the_reference(cut_patches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.model.vision, "CUT_PATCHES", cut_patches)
    rows = random_rows(10, WIDTH)
    found = tower().blocks[0].mlp(mx.array(rows))
    assert relative_error(found, reference().blocks[0].mlp(torch.tensor(rows))) <= TOLERANCE


def test_merger_equals_the_reference() -> None:
    rows = random_rows(12, WIDTH)
    assert relative_error(tower().merger(mx.array(rows)), reference().merger(torch.tensor(rows))) <= TOLERANCE


@pytest.mark.parametrize("level", range(3))
def test_deepstack_merger_equals_the_reference(level: int) -> None:
    rows = random_rows(12, WIDTH)
    found = tower().deepstack_merger_list[level](mx.array(rows))
    assert relative_error(found, reference().deepstack_merger_list[level](torch.tensor(rows))) <= TOLERANCE


@pytest.mark.parametrize("score_bytes", [1, 700, 5_000, 10**9])
@pytest.mark.parametrize("index", [1, 3])
def test_attention_in_blocks_of_any_size_equals_the_reference(
    score_bytes: int, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.model.vision_attention, "score_bytes", lambda: score_bytes)
    with by_mlx():  # numpy bounds its scores itself
        assert max(errors(index)) <= TOLERANCE


def fake_fused_kernels(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let attention run as on Metal, by the plain kernel; returns the shapes of the queries of each call."""
    calls: list[tuple[int, ...]] = []
    plain = mx.fast.scaled_dot_product_attention

    def fused(q: mx.array, k: mx.array, v: mx.array, *, scale: float, force_fused: bool) -> mx.array:
        assert force_fused, "the memory plan counts on a fused kernel"
        calls.append(tuple(q.shape))
        return plain(q, k, v, scale=scale)

    monkeypatch.setattr(edge.model.vision_attention, "has_fused_kernels", lambda: True)
    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", fused)
    return calls


@pytest.mark.parametrize("index", [1, 3])
def test_attention_as_on_metal_equals_the_reference(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_fused_kernels(monkeypatch)
    assert max(errors(index)) <= TOLERANCE
    assert {shape[-1] for shape in calls} == {64}  # the fixture's heads are widened


def test_a_picture_takes_one_fused_call_a_block_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_fused_kernels(monkeypatch)
    monkeypatch.setattr(edge.model.vision_attention, "score_bytes", lambda: 700)
    grids = [(1, 16, 24), (3, 4, 6)]
    patches = mx.zeros((16 * 24 + 3 * 4 * 6, tower().config.patch_values))
    tower()(patches, grids)
    assert len(calls) == 2 * tower().config.depth


def test_a_head_size_with_its_own_kernel_is_not_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (12, 64, 72, 80, 88, 96, 160)
    assert [edge.model.vision_attention.attended_head_dim(size) for size in sizes] == list(sizes)
    monkeypatch.setattr(edge.model.vision_attention, "has_fused_kernels", lambda: True)
    assert [edge.model.vision_attention.attended_head_dim(size) for size in sizes] == [64, 64, 72, 80, 96, 96, 160]


# Mutants ---------------------------------------------------------------------------------------------------------


def test_swapped_gelu_kinds_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.model.vision, "gelu_tanh", gelu_erf)
    monkeypatch.setattr(edge.model.vision, "gelu_erf", gelu_tanh)
    assert max(errors(0)) > 1e-4
    rows = random_rows(12, WIDTH)
    assert relative_error(tower().merger(mx.array(rows)), reference().merger(torch.tensor(rows))) > 1e-4


def _all_frames_together(queries: mx.array, keys: mx.array, values: mx.array, **options: object) -> mx.array:
    joined = [part.transpose(1, 0, 2, 3).flatten(1, 2)[None] for part in (queries, keys, values)]
    return attend_in_blocks(*joined, **options)  # type: ignore[arg-type]  # options are passed on


def _corners_not_aligned(size: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    source = (np.arange(size) + 0.5) * side / size - 0.5
    floor = np.floor(source)
    weights = np.stack([1 - (source - floor), source - floor])
    return np.clip(np.stack([floor, floor + 1]), 0, side - 1).astype(np.int64), weights.astype(np.float32)


def _columns_first(*options: Any) -> np.ndarray:
    return np.roll(rotary_angles(*options), tower().config.head_dim // 4, axis=1)


def _transposed_table(*sizes: int, side: int, merge_size: int) -> tuple[np.ndarray, np.ndarray]:
    indexes, weights = position_taps(*sizes, side=side, merge_size=merge_size)
    return indexes % side * side + indexes // side, weights


def _raster_order(height: int, width: int, merge_size: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices((height, width))
    return rows.reshape(-1), columns.reshape(-1)


MUTANTS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "rows and columns swapped in the rotation": (edge.model.vision, "rotary_angles", _columns_first),
    "rows and columns swapped in the table": (edge.model.vision, "position_taps", _transposed_table),
    "raster order": (edge.model.vision_positions, "patch_coordinates", _raster_order),
    "corners not aligned": (edge.model.vision_positions, "_axis_taps", _corners_not_aligned),
    "frames attend to each other": (edge.model.vision_attention, "attend_in_blocks", _all_frames_together),
    "no rotation": (edge.model.vision_attention, "rotate_halves", lambda first, second, cos, sin: (first, second)),
    "patch values in the order of the weights": (
        edge.model.vision.PatchProjection, "__call__", lambda self, rows: rows @ self.weight.flatten(1).T + self.bias,
    ),
    "no position table": (
        edge.model.vision.VisionTower, "position_embeddings", lambda self, grids: mx.zeros((1, WIDTH)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_of_the_tower_fails(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, replacement = MUTANTS[mutant]
    monkeypatch.setattr(module, name, replacement)
    assert max(errors(1)) > MUTANT
