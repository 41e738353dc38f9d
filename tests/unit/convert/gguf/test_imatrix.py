"""Importance files in both layouts, as libgguf reads them; broken ones refused."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import libgguf
import numpy as np
import pytest

from convert.gguf.encode import encode_rows
from convert.gguf.imatrix import choose_importance, read_importance
from convert.gguf.plan import Wanted, make_plan
from convert.gguf.run import write_plan
from convert.gguf.types import FILE_TYPES
from edge.checkpoint.files.gguf import open_gguf
from edge.checkpoint.ggml.types import TYPES
from edge.errors import WeightError
from tests.unit.checkpoint.gguf_files import assemble, entry, string
from tests.unit.convert.gguf.sources import opened, source_json, source_parameters, write_source


def old_file(entries: dict[str, np.ndarray], *, num_calls: int = 3) -> bytes:
    raw = struct.pack("<i", len(entries))
    for name, values in entries.items():
        raw += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", num_calls, len(values))
        raw += (values * num_calls).astype("<f4").tobytes()
    return raw


def new_file() -> bytes:
    sums = np.arange(1, 65, dtype="<f4")
    counts = np.array([2, 0], "<f4")
    entries = [entry("a.weight.in_sum2", (32, 2), 0, 0), entry("a.weight.counts", (1, 2), 0, 256)]
    return assemble([string("general.type", "imatrix")], entries, sums.tobytes() + counts.tobytes().ljust(32, b"\0"))


@pytest.mark.parametrize("raw", [old_file({"a.weight": np.arange(1.0, 9.0), "b.weight": np.ones(3)}), new_file()])
def test_weights_equal_those_libgguf_reads(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "i.dat"
    path.write_bytes(raw)
    found, expected = read_importance(path), libgguf.load_imatrix(path)
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


def test_an_expert_without_a_token_counts_all_inputs_alike(tmp_path: Path) -> None:
    (tmp_path / "i.gguf").write_bytes(new_file())
    values = read_importance(tmp_path / "i.gguf")["a.weight"]
    np.testing.assert_array_equal(values[:32], np.arange(1, 33) / 2)
    np.testing.assert_array_equal(values[32:], np.ones(32))


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    chance = random.Random(3)
    path = tmp_path / "i.dat"
    sound = [old_file({"a.weight": np.arange(1.0, 9.0)}), new_file()]
    refused = 0
    for _ in range(600):
        raw = bytearray(chance.choice(sound))
        for _ in range(2):
            raw[chance.randrange(min(len(raw), 200))] = chance.choice((0, 255, 128))
        path.write_bytes(raw[: chance.randrange(len(raw))] if chance.random() < 0.3 else raw)
        try:
            read_importance(path)
        except WeightError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "cut or of another kind"),
        (struct.pack("<i", 2**30), "cut or of another kind"),
        (struct.pack("<i", 0), "found no entry"),
        (old_file({"a": np.array([1.0, -1.0])}), "negative or not finite"),
        (assemble([string("general.type", "model")], []), "found a model"),
    ],
)
def test_other_files_are_explained(raw: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(raw)
    with pytest.raises(WeightError, match=message):
        read_importance(tmp_path / "i")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightError, match=r"a\.weight has 8 weights, expected 64"):
        choose_importance({"a.weight": np.ones(8, np.float32)}, {"a.weight": (2, 5, 32)}, where=tmp_path / "i")


def test_weights_of_tensors_that_are_not_written_are_left_aside(tmp_path: Path) -> None:
    weights = {"a.weight": np.ones(32, np.float32), "mm.0.weight": np.ones(5, np.float32)}
    assert list(choose_importance(weights, {"a.weight": (3, 32)}, where=tmp_path / "i")) == ["a.weight"]


def test_blocks_are_weighed_by_expert_and_input(tmp_path: Path) -> None:
    raw = source_json()
    folder = write_source(tmp_path / "s", raw)
    experts, dense = "blk.1.ffn_up_exps.weight", "blk.1.attn_q.weight"
    random_weights = np.random.default_rng(0)
    importance = {
        experts: random_weights.random(4 * 256, np.float32) + 0.01,
        dense: random_weights.random(256, np.float32) + 0.01,
    }
    source_of = opened(folder)
    plan = make_plan(
        source_of.checkpoint, Wanted(tmp_path / "t.gguf", FILE_TYPES["Q4_K_S"], None), importance=importance
    )
    write_plan(plan, source_of, num_processes=1)
    file = open_gguf(plan.files[0].path)
    prefix = "language_model.model.layers.1"
    parameters = source_parameters(raw)
    stack = np.array(parameters[f"{prefix}.mlp.switch_mlp.up_proj.weight"])
    for index in range(4):
        expected = encode_rows(stack[index], TYPES["Q4_K"], importance=importance[experts].reshape(4, 256)[index])
        assert file.read_bytes(experts, index * 512, (index + 1) * 512).tobytes() == expected.tobytes()
    matrix = np.array(parameters[f"{prefix}.self_attn.q_proj.weight"])
    weighed = encode_rows(matrix, TYPES["Q4_K"], importance=importance[dense]).tobytes()
    assert file.read_bytes(dense).tobytes() == weighed
    assert weighed != encode_rows(matrix, TYPES["Q4_K"]).tobytes()
