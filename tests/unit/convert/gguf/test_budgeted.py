"""Types under a budget: never over, rows of any length, and importance where it helps."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from convert.budget.errors import Sampled
from convert.gguf.budgeted import (
    HELPED,
    METADATA_BYTES,
    choose_types,
    choose_types_from_shapes,
    nearest_type,
    type_error,
)
from convert.gguf.encode import encode_rows
from convert.gguf.plan import Wanted, describe_types, make_plan
from convert.gguf.run import write_plan
from convert.gguf.types import FILE_TYPES, PROJECTOR_TYPES
from convert.source import Source
from edge.checkpoint.files.gguf import open_gguf
from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.ggml.types import TYPES
from edge.errors import UsageError
from edge.plan.family import FAMILY
from tests.unit.convert.budget.test_spend import Fisher
from tests.unit.convert.gguf.sources import opened, source_json, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("gguf") / "source"
    raw = source_json(is_moe=True)
    write_source(folder, raw)
    return opened(folder)


def wanted(folder: Path) -> Wanted:
    return Wanted(folder / "t.gguf", FILE_TYPES["Q4_K_M"], PROJECTOR_TYPES["F16"])


def size_of(source: Source, folder: Path, kind: str) -> int:
    plan = make_plan(source.checkpoint, Wanted(folder / "t.gguf", FILE_TYPES[kind], PROJECTOR_TYPES["F16"]))
    return sum(file.num_bytes for file in plan.files)


@pytest.mark.parametrize(
    "kind", ["Q4_K_M", pytest.param("Q3_K_M", marks=pytest.mark.long), pytest.param("Q6_K", marks=pytest.mark.long)]
)
def test_files_stay_under_the_budget_are_as_planned_and_give_bits_where_they_matter(
    kind: str, source: Source, tmp_path: Path
) -> None:
    budget = size_of(source, tmp_path, kind)
    found = choose_types(source.checkpoint, wanted(tmp_path), budget=budget, weights=Fisher("layers.1.self_attn.q"))
    first, second = (found.wanted.types[f"blk.{index}.attn_q.weight"] for index in (0, 1))
    assert second.num_bytes(256) > first.num_bytes(256)
    plan = make_plan(source.checkpoint, found.wanted)
    write_plan(plan, source, num_processes=1)
    written = sum(file.path.stat().st_size for file in plan.files)
    assert written == sum(file.num_bytes for file in plan.files) <= budget
    assert {tensor.type.name for tensor in open_gguf(tmp_path / "t.gguf").tensors.values()} >= {
        kind.name for kind in found.wanted.types.values()
    }


def test_a_budget_below_the_smallest_types_is_refused(source: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the smallest types of this model take"):
        choose_types(source.checkpoint, wanted(tmp_path), budget=1000)


def test_a_published_model_is_planned_from_its_shapes_alone() -> None:
    config = FAMILY["30B-A3B"]
    found = choose_types_from_shapes(config, wanted(Path()), budget=15 * 10**9)
    stored = describe_types(config, FILE_TYPES["Q4_K_M"], PROJECTOR_TYPES["F16"], found.wanted.types)
    assert 0.99 * 15e9 < METADATA_BYTES + sum(one.num_bytes for one in stored) <= 15e9
    assert "no weights were at hand" in found.lines("--size 15GB", 15 * 10**9)[0]
    with pytest.raises(UsageError, match="the smallest types of this model take"):
        choose_types_from_shapes(config, wanted(Path()), budget=10**9)


def test_importance_lowers_the_weighted_error_at_three_bits() -> None:
    rows = mx.random.normal((64, 256), key=mx.random.key(1))
    sampled = Sampled(rows, 1.0)
    weights = np.exp(np.linspace(-3, 3, 256)).astype(np.float32)
    plain_rows = np.array(rows)
    for name in sorted(HELPED):
        assert type_error(sampled, TYPES[name], weights) < weighted_plain(plain_rows, name, weights)


def weighted_plain(rows: np.ndarray, name: str, weights: np.ndarray) -> float:
    """The weighted error of a type that was chosen without the weights."""
    raw = np.frombuffer(encode_rows(rows, TYPES[name]), np.uint8).reshape(len(rows), -1)
    found = np.asarray(decode(raw, TYPES[name]), np.float32).reshape(rows.shape)
    return float((np.square(found - rows) * weights).sum() / (np.square(rows) * weights).sum())


def test_a_mixture_is_named_after_the_type_of_most_numbers() -> None:
    types = {"a": TYPES["Q4_K"], "b": TYPES["Q6_K"]}
    assert nearest_type(types, {"a": (10, 256), "b": (2, 256)}).base == "Q4_K"
    assert nearest_type(types, {"a": (1, 256), "b": (2, 256)}).name == "Q6_K"
