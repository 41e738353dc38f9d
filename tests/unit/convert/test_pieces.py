"""Reading in pieces gives the rows of reading whole."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from convert.pieces import cut_rule, list_rules, read_piece
from edge.checkpoint.folder import open_checkpoint, read_parameters
from edge.config_json import model_config_from_dict
from tests.unit.checkpoint.checkpoints import (
    random_parameters,
    tiny_config_json,
    transformers5_config_json,
    write_fp8_folder,
    write_hub_folder,
    write_mlx_folder,
)


def write_folder(folder: Path, layout: str) -> Path:
    raw = tiny_config_json()
    parameters = random_parameters(model_config_from_dict(raw))
    if layout == "fp8":
        return write_fp8_folder(folder, raw, parameters, block_shape=(16, 24))
    if layout == "transformers5":
        return write_hub_folder(folder, transformers5_config_json(raw), parameters, layout="transformers5")
    if layout == "mlx":
        return write_mlx_folder(folder, raw, parameters)
    return write_hub_folder(folder, raw, parameters, num_shards=3)


@pytest.mark.parametrize("piece_weights", [1, 1000, 30_000, 2**30])
@pytest.mark.parametrize("layout", ["hub", "transformers5", "fp8", "mlx"])
def test_pieces_of_any_size_give_the_rows_of_the_whole(tmp_path: Path, layout: str, piece_weights: int) -> None:
    checkpoint = open_checkpoint(write_folder(tmp_path, layout), dtype=mx.float32)
    rows: dict[str, list[mx.array]] = {}
    for rule in checkpoint.rules:
        for piece in cut_rule(rule, piece_weights=piece_weights):
            for name, array in read_piece(checkpoint.source.tensors, piece).items():
                assert array.shape[0] == piece.stop - piece.start
                rows.setdefault(name, []).append(array)
    whole = dict(read_parameters(checkpoint, dtype=mx.float32))
    assert rows.keys() == whole.keys()
    assert all(mx.array_equal(mx.concatenate(parts), whole[name]) for name, parts in rows.items())


def test_a_piece_is_no_larger_than_asked_and_experts_are_cut(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_folder(tmp_path, "hub"))
    pieces = [piece for rule in checkpoint.rules for piece in cut_rule(rule, piece_weights=25_000)]
    assert max(piece.num_weights for piece in pieces) <= 25_000
    experts = [piece for piece in pieces if "experts.gate_up_proj" in piece.rule.sources[0]]
    assert len(experts) == 2 * 5  # one expert of 64 x 320 each


@pytest.mark.parametrize("mode", ["affine", "mxfp4", "mxfp8", "nvfp4"])
def test_packed_modules_are_read_as_their_values(mode: str, tmp_path: Path) -> None:
    raw = tiny_config_json()
    bits, group_size = {"affine": (4, 32), "mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}[mode]
    quantization = {"group_size": group_size, "bits": bits, "mode": mode}
    parameters = random_parameters(model_config_from_dict(raw))
    checkpoint = open_checkpoint(write_mlx_folder(tmp_path, raw, parameters, quantization=quantization))
    assert checkpoint.quantized
    found: dict[str, list[mx.array]] = {}
    for rule in list_rules(checkpoint):
        for piece in cut_rule(rule, piece_weights=5000):
            for name, array in read_piece(checkpoint.source.tensors, piece).items():
                found.setdefault(name, []).append(array)
    assert found.keys() == parameters.keys()
    for module in checkpoint.quantized:
        weight = parameters[f"{module}.weight"]
        packed = mx.quantize(weight, group_size=group_size, bits=bits, mode=mode)
        expected = mx.dequantize(*packed[:2], *packed[2:], group_size=group_size, bits=bits, mode=mode)
        assert mx.allclose(mx.concatenate(found[f"{module}.weight"]), expected.astype(mx.float32), rtol=1e-2)
