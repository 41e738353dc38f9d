"""Conversions with a calibration: standard files, refused for other models, and no loss for starved experts."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from convert.__main__ import main
from convert.calibration.experts import middle_of
from convert.calibration.file import Calibration
from convert.calibration.forward import LayerPass
from convert.calibration.moments import MIDDLE_PULL, Floats, damped, levelled, own_share, shrunk
from convert.calibration.weights import LayerWeights
from convert.mlx.affine import Packed, numbers_of, quantize_affine
from convert.mlx.compensate import feedback_of, quantize_compensated
from edge.checkpoint.folder import load_folder
from edge.errors import UsageError
from tests.unit.convert.calibration.calibrating import calibrated, opened, text_samples, tiny_source
from tests.unit.convert.mlx.conversion import convert, files_of, settings_of, write_source

DEMO = Path("edge/demo")
MIDDLE_LAYER = 1


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    folder = tmp_path_factory.mktemp("calibration")
    return calibrated(tiny_source(folder / "source"), folder / "out.calib")


def test_a_calibrated_folder_has_the_bytes_and_names_of_a_plain_one(tmp_path: Path, calibration: Calibration) -> None:
    source = write_source(tmp_path / "source")
    convert(source, tmp_path / "plain")
    convert(source, tmp_path / "own", replace(settings_of(), calibration=calibration))
    plain, own = (load_folder(tmp_path / name) for name in ("plain", "own"))
    assert own.num_bytes == plain.num_bytes
    changed = {
        name for name, digest in files_of(tmp_path / "own").items() if files_of(tmp_path / "plain")[name] != digest
    }
    assert changed == {"model.safetensors", "README.md", "SHA256SUMS"}
    assert "errors compensated with a calibration on 48 tokens" in (tmp_path / "own" / "README.md").read_text()


@pytest.mark.parametrize("recipe", ["8bit", "bf16", "mxfp8"])
def test_formats_that_are_not_compensated_are_told_and_the_card_does_not_claim_it(
    recipe: str, tmp_path: Path, calibration: Calibration, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_source(tmp_path / "source")
    words = ["mlx", str(source), str(tmp_path / "own"), "--recipe", recipe, "--calibration", str(calibration.path)]
    assert main(words) == 0
    assert "The calibration compensates nothing here" in capsys.readouterr().out
    assert "compensated" not in (tmp_path / "own" / "README.md").read_text()


def test_how_many_matrices_are_compensated_is_told(
    tmp_path: Path, calibration: Calibration, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_source(tmp_path / "source")
    assert main(["mlx", str(source), "--dry-run", "--recipe", "4bit", "--calibration", str(calibration.path)]) == 0
    assert re.search(r"Errors of [1-9]\d* matrices are compensated with a calibration on 48", capsys.readouterr().out)


def test_a_calibration_of_another_revision_is_refused(tmp_path: Path, calibration: Calibration) -> None:
    source = write_source(tmp_path / "source")
    for path in source.glob("*.safetensors"):
        data = bytearray(path.read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        for place in range(start, len(data) - 1, 2):
            data[place] ^= 1  # the last bit of every weight
        path.write_bytes(data)
    with pytest.raises(UsageError, match="expected a calibration of source, found one of source: the weights of"):
        convert(source, tmp_path / "out", replace(settings_of(), calibration=calibration))
    assert not (tmp_path / "out").exists()


def rows_of(layer: LayerPass, seed: int) -> Floats:
    samples = text_samples(count=12, length=60, seed=seed, vocab=990)
    table = np.array(load_folder(DEMO).model.language_model.model.embed_tokens.weight)
    hidden = np.concatenate([table[one.prompt.token_ids] for one in samples.samples]).astype(np.float32)
    return layer.attend(hidden, samples.samples)[1]


def blended(own: Floats, shared: Floats, *, is_middle: bool = False) -> Floats:
    """As a calibration blends an expert's moments with those of its layer."""
    share = np.float32(own_share(len(own), own.shape[1]))
    level = partial(levelled, pull=MIDDLE_PULL) if is_middle else shrunk
    square = level(own.T @ own / np.float32(max(1, len(own))), len(own))
    others = level(shared.T @ shared / np.float32(len(shared)), len(shared))
    return damped(share * square + (1 - share) * others)


@pytest.mark.parametrize("case", ["none", "three", "nine", "the same always"])
def test_a_starved_expert_loses_no_more_than_with_a_search_on_unlike_tokens(case: str) -> None:
    source = opened(DEMO)
    weights = LayerWeights(source.checkpoint, MIDDLE_LAYER)
    layer = LayerPass(weights, source.checkpoint.config.text)
    seen, unlike = rows_of(layer, 0), rows_of(layer, 1)
    chosen = {
        "none": seen[:0],
        "three": seen[:3],
        "nine": seen[:9],
        "the same always": np.repeat(seen[:1], 900, axis=0),
    }
    for expert in weights.experts():
        middles, others = middle_of(expert, seen), middle_of(expert, unlike)
        starved = middle_of(expert, chosen[case])
        assert loss_ratio(expert.gate, blended(chosen[case], seen), unlike) <= 1
        assert loss_ratio(expert.down, blended(starved, middles[100:356], is_middle=True), others) <= 1


def loss_ratio(matrix: Floats, moments: Floats, rows: Floats) -> float:
    """Return what compensation loses of a matrix's outputs on rows, as a share of what a search loses."""
    weight = mx.array(matrix)
    own = quantize_compensated(weight, feedback_of(moments), group_size=64, bits=4)
    searched = quantize_affine(weight, group_size=64, bits=4)
    losses = [float(np.square(rows @ (unpacked(one) - matrix).T).sum()) for one in (own, searched)]
    return losses[0] / losses[1]


def unpacked(packed: Packed) -> Floats:
    words, scales, biases = packed.weight, packed.scales, packed.biases
    return numbers_of(mx.dequantize(words, scales.astype(mx.float32), biases.astype(mx.float32), group_size=64, bits=4))
