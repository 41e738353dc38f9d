"""Reading in pieces gives the rows of reading whole."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from convert.pieces import cut_rule, list_rules, read_piece, read_rows
from convert.source import SpoiledError
from edge.checkpoint.files.header import TensorInfo
from edge.checkpoint.files.shards import SafetensorsFile
from edge.checkpoint.folder import open_checkpoint, read_parameters
from edge.config_json import model_config_from_dict
from edge.errors import WeightError
from tests.unit.checkpoint.checkpoints import (
    random_parameters,
    tiny_config_json,
    transformers5_config_json,
    write_fp8_folder,
    write_hub_folder,
    write_mlx_folder,
    write_safetensors,
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


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(mx.float32, float("nan")), (mx.bfloat16, float("inf")), (mx.float16, float("-inf")), (mx.bfloat16, float("nan"))],
)
def test_a_weight_that_is_no_number_is_refused_by_name(tmp_path: Path, dtype: mx.Dtype, value: float) -> None:
    weight = mx.ones((4, 6))
    weight[2, 3] = value
    write_safetensors(tmp_path / "shard.safetensors", {"w": weight.astype(dtype)})
    info = SafetensorsFile(tmp_path / "shard.safetensors").tensors["w"]
    with pytest.raises(WeightError, match=r"shard\.safetensors: w holds 1 values that are infinite or no number"):
        read_rows(info, "w", start=0, stop=4)
    assert read_rows(info, "w", start=0, stop=2).shape == (2, 6)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard.safetensors"
    write_safetensors(path, {"w": mx.ones((4, 6))})
    info = SafetensorsFile(path).tensors["w"]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightError, match="truncated while it was read, at w"):
        read_rows(info, "w", start=0, stop=4)


@pytest.mark.parametrize(("value", "is_sound"), [(1.5, True), (float("nan"), False), (1e300, False)])
def test_doubles_become_float32_or_are_refused(value: float, is_sound: bool, tmp_path: Path) -> None:
    path = tmp_path / "shard.safetensors"
    path.write_bytes(np.full(4, value, "<f8").tobytes())
    info = TensorInfo(path, "F64", (2, 2), 0, 32)
    if is_sound:
        assert mx.array_equal(read_rows(info, "w", start=0, stop=2), mx.full((2, 2), value))
    else:
        with pytest.raises(SpoiledError, match="w holds"):
            read_rows(info, "w", start=0, stop=2)


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
