"""A calibration as llama.cpp's importance file: written, read by libgguf, and used where it helps."""

from __future__ import annotations

from pathlib import Path

import libgguf
import numpy as np
import pytest

from convert.gguf.budgeted import helped
from convert.gguf.imatrix import read_importance
from convert.gguf.importance import importance_of, sums_of, write_importance
from edge.checkpoint.ggml.types import TYPES
from edge.checkpoint.names.hub import expected_parameters
from edge.config_json import model_config_from_dict
from edge.errors import UsageError
from tests.unit.checkpoint.checkpoints import tiny_config_json

CONFIG = model_config_from_dict(tiny_config_json())
SHAPES = expected_parameters(CONFIG)


class Seen:
    """A calibration of the decoder in which expert 1 saw nothing."""

    def has(self, tensor: str) -> bool:
        return ".layers." in tensor and tensor.endswith(("proj.weight", "mlp.gate.weight"))

    def tokens(self, tensor: str, expert: int | None = None) -> int:
        return 0 if expert == 1 else 600 + len(tensor) + (expert or 0)

    def diagonal(self, tensor: str, expert: int | None = None) -> np.ndarray:
        assert "mlp.gate." not in tensor, "routers are never packed"
        return np.linspace(0.1, 1.0 + (expert or 0), SHAPES[tensor][-1], dtype=np.float32)


def test_libgguf_reads_what_is_written(tmp_path: Path) -> None:
    sums = sums_of(Seen(), CONFIG)
    write_importance(tmp_path / "i.gguf", sums, dataset="made up")
    found, expected = read_importance(tmp_path / "i.gguf"), libgguf.load_imatrix(tmp_path / "i.gguf")
    assert found.keys() == expected.keys() == sums.keys()
    for name, values in importance_of(sums).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)
        np.testing.assert_array_equal(found[name], expected[name])


def test_weights_are_mean_squares_and_an_expert_without_a_token_counts_all_alike() -> None:
    weights = importance_of(sums_of(Seen(), CONFIG))
    stack = next(name for name in weights if name.endswith("ffn_down_exps.weight"))
    assert CONFIG.text.moe is not None
    num_experts, inputs = CONFIG.text.moe.num_experts, CONFIG.text.moe.intermediate_size
    by_expert = weights[stack].reshape(num_experts, inputs)
    np.testing.assert_allclose(by_expert[0], np.linspace(0.1, 1.0, inputs), rtol=1e-5)
    np.testing.assert_array_equal(by_expert[1], np.ones(inputs))


def test_importance_stays_only_where_it_helps() -> None:
    weights = {name: np.ones(4, np.float32) for name in ("a", "b", "c")}
    assert set(helped(weights, {"a": TYPES["Q3_K"], "b": TYPES["Q4_K"]})) == {"a"}


def test_another_file_is_kept_unless_it_is_to_be_replaced_and_the_same_one_is_taken(tmp_path: Path) -> None:
    path, sums = tmp_path / "i.gguf", sums_of(Seen(), CONFIG)
    for _ in range(2):  # as a run that goes on does
        write_importance(path, sums, dataset="made up")
    content = path.read_bytes()
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"i\.gguf exists"):
        write_importance(path, sums, dataset="made up")
    assert path.read_bytes() == b"mine"
    write_importance(path, sums, dataset="made up", is_replacing=True)
    assert path.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["i.gguf"]
