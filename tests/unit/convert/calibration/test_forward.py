"""The streamed layer gives the runtime's own states, and moments of what its matrices see."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from convert.calibration.file import Calibration
from convert.calibration.forward import LayerPass, keeps_rows
from convert.calibration.moments import Floats, own_share, shrunk
from convert.calibration.sites import LAYER
from convert.calibration.weights import LayerWeights
from convert.verify.mlx_blocks import MlxBlocks
from tests.unit.convert.calibration.calibrating import calibrated, text_samples, tiny_source

SPARSE, DENSE = 0, 1


def states(num_tokens: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((num_tokens, 64)).astype(np.float32)


@pytest.mark.parametrize("index", [SPARSE, DENSE])
def test_a_layer_gives_what_the_runtime_gives(tmp_path: Path, index: int) -> None:
    source, samples = tiny_source(tmp_path / "source"), text_samples(count=2)
    hidden = states(samples.num_tokens)
    layer = LayerPass(LayerWeights(source.checkpoint, index), source.checkpoint.config.text)
    behind, _ = layer.run(hidden, samples.samples)
    blocks = MlxBlocks.from_checkpoint(source.checkpoint, dtype=mx.float32)
    expected = np.concatenate(
        [blocks.layer(index, hidden[i * 12 : (i + 1) * 12], one, None).hidden for i, one in enumerate(samples.samples)]
    )
    assert np.linalg.norm(behind - expected) / np.linalg.norm(expected) < 1e-5
    mutant = hidden.copy()
    mutant[0] = -mutant[0]
    assert np.linalg.norm(layer.run(mutant, samples.samples)[0] - expected) / np.linalg.norm(expected) > 1e-2


def test_an_experts_moments_are_those_of_its_tokens_and_its_layers(tmp_path: Path) -> None:
    source, samples = tiny_source(tmp_path / "source"), text_samples(count=6)
    calibration = calibrated(source, tmp_path / "out.calib", samples)
    name = f"{LAYER}{SPARSE}.mlp.switch_mlp.up_proj.weight"
    layer = LayerPass(LayerWeights(source.checkpoint, SPARSE), source.checkpoint.config.text)
    hidden = embedded(calibration, source.checkpoint, samples)
    _, rows, _ = layer.attend(hidden, samples.samples)
    routing = layer.route(rows)
    for expert in range(5):
        own = rows[(routing.experts == expert).any(axis=1)]
        share = own_share(len(own), 64)
        square = shrunk(own.T @ own / np.float32(max(1, len(own))), len(own))
        wanted: Floats = share * square + (1 - share) * shrunk(rows.T @ rows / np.float32(len(rows)), len(rows))
        found = calibration.moments(name, expert)
        off = ~np.eye(64, dtype=bool)
        assert calibration.tokens(name, expert) == len(own)
        assert np.allclose(found[off], wanted[off], atol=1e-2 * np.abs(wanted).max())  # rows are kept in bfloat16
        assert np.allclose(calibration.diagonal(name, expert), np.diagonal(wanted), rtol=2e-2)


def embedded(calibration: Calibration, checkpoint: object, samples: object) -> np.ndarray:
    from convert.calibration.tables import read_rows_of

    assert calibration.record["format"] == 1
    ids = np.concatenate([one.prompt.token_ids for one in samples.samples]).astype(np.int64)  # type: ignore[attr-defined]  # of calibrating.py
    return read_rows_of(checkpoint, "language_model.model.embed_tokens.weight", ids)  # type: ignore[arg-type]  # as above


def test_rows_are_kept_where_they_are_smaller() -> None:
    assert keeps_rows(num_tokens=40_000, width=2048, num_experts=128)
    assert not keeps_rows(num_tokens=400_000, width=2048, num_experts=128)
