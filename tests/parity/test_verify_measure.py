"""Candidates against the reference: exact paths measure as exact, planted faults are found where they begin."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import mlx.core as mx
import numpy as np
import pytest

import edge.model.rope
import edge.model.text
from convert.verify.measure import Measurement
from convert.verify.results import CandidateResult, Report
from convert.verify.stages import run_stage as real_run_stage
from edge.errors import ConfigError, MemoryPlanError, PromptError, WeightError
from tests.parity.verify_folders import (
    Kind,
    other_tokenizer,
    parameters,
    raw_config,
    write_candidate,
    write_prompts,
    write_source,
)
from tests.system.folders import edit_config
from tests.unit.checkpoint.adapters import pair_of, write_adapter
from tests.unit.checkpoint.checkpoints import Json, Parameters

ROUTER = "language_model.model.layers.{}.mlp.gate"
TOLERANCE = 1e-5


def setting(bits: int) -> Json:
    return {"group_size": 32, "bits": bits, "mode": "affine"}


def recipe(bits: int, **routers: int) -> Json:
    """Pack at some bits, routers at 8; `layer2=3` gives layer 2's router 3 bits."""
    chosen = {f"layer{index}": 8 for index in (0, 2, 3)} | routers
    return setting(bits) | {ROUTER.format(name[5:]): setting(own) for name, own in chosen.items()}


@lru_cache(maxsize=1)
def shared() -> Path:
    """A folder with the sources, the prompts and the states of the references."""
    root = Path(mkdtemp())
    write_prompts(root)
    write_source(root / "moe", "moe")
    write_source(root / "dense", "dense")
    return root


def measure(*candidates: Path, kind: Kind = "moe", work: Path | None = None, adapter: Path | None = None) -> Report:
    root = shared()
    prepared = Measurement.prepare(
        str(root / kind),
        candidates=[str(path) for path in candidates],
        prompts=str(root / "prompts.jsonl"),
        dtype="float32",
        work=work or root / "work",
        adapter=None if adapter is None else str(adapter),
    )
    return prepared.run(say=lambda _: None)


def measure_one(folder: Path, weights: Parameters, quantization: Json | None = None) -> CandidateResult:
    return measure(write_candidate(folder, "moe", weights, quantization=quantization)).candidates[0]


def suspects(result: CandidateResult) -> list[str]:
    return [finding.where for finding in result.findings]


@pytest.mark.parametrize("kind", ["moe", "dense"])
def test_the_unpacked_model_errs_by_rounding_only(kind: Kind, tmp_path: Path) -> None:
    candidate = write_candidate(tmp_path / "plain", kind, parameters(kind))
    result = measure(candidate, kind=kind).candidates[0]
    assert max(stage.own for stage in result.stages) <= TOLERANCE
    assert max(stage.carried for stage in result.stages) <= TOLERANCE
    assert all(stage.experts_changed in (None, 0.0) for stage in result.stages)
    assert result.overall.mean_kl < 1e-9
    assert result.overall.top1 == 1.0
    assert result.overall.perplexity == pytest.approx(result.overall.reference_perplexity, rel=1e-6)
    assert result.findings == ()


def test_the_hub_folder_itself_is_a_candidate_too() -> None:
    result = measure(shared() / "moe").candidates[0]
    assert max(stage.carried for stage in result.stages) <= TOLERANCE
    assert result.bits_per_weight == pytest.approx(32, rel=0.01)


def test_a_merged_candidate_is_held_against_the_original_with_its_adapter(tmp_path: Path) -> None:
    module = "layers.2.self_attn.o_proj"
    weights = dict(parameters("dense"))
    name = f"language_model.model.{module}.weight"
    outputs, inputs = weights[name].shape
    pair = pair_of(f"model.language_model.{module}", outputs=outputs, inputs=inputs)
    adapter = write_adapter(tmp_path / "lora", {key: (value / 8).astype(np.float32) for key, value in pair.items()})
    weights[name] = weights[name] + 4 / 2 * 2 / 64  # alpha / rank, times B A of rank 2
    merged = write_candidate(tmp_path / "merged", "dense", weights)
    with_it, without = (measure(merged, kind="dense", adapter=given).candidates[0] for given in (adapter, None))
    assert with_it.overall.mean_kl < 1e-9
    assert max(stage.carried for stage in with_it.stages) <= TOLERANCE
    assert without.overall.mean_kl > 1e-6


def test_kl_and_errors_fall_as_bits_rise(tmp_path: Path) -> None:
    weights = parameters("moe")
    folders = [
        write_candidate(tmp_path / f"q{bits}", "moe", weights, quantization=recipe(bits)) for bits in (2, 3, 4, 6, 8)
    ]
    report = measure(*folders)
    kl = [result.overall.mean_kl for result in report.candidates]
    own = [result.stages[-1].own for result in report.candidates]
    sizes = [result.num_bytes for result in report.candidates]
    assert kl == sorted(kl, reverse=True)
    assert own == sorted(own, reverse=True)
    assert sizes == sorted(sizes)
    assert suspects(report.candidates[2]) == []  # 4 bits with 8-bit routers is no fault


def test_two_swapped_experts_are_named_with_their_layer(tmp_path: Path) -> None:
    weights = parameters("moe")
    for name in ("gate", "up", "down"):
        path = f"language_model.model.layers.2.mlp.switch_mlp.{name}_proj.weight"
        weights[path] = weights[path][mx.array([0, 3, 2, 1, 4])]
    result = measure_one(tmp_path / "swapped", weights, recipe(4))
    assert suspects(result) == ["layer 2"]
    assert "experts 1, 3 err" in result.findings[0].what


def test_a_lost_deepstack_merger_is_found_at_its_level(tmp_path: Path) -> None:
    weights = parameters("moe")
    for name in ("weight", "bias"):
        path = f"vision_tower.deepstack_merger_list.1.linear_fc2.{name}"
        weights[path] = mx.zeros_like(weights[path])
    result = measure_one(tmp_path / "lost", weights, recipe(4))
    assert suspects(result) == ["DeepStack level 1"]


def test_a_router_at_3_bits_is_found_in_its_layer(tmp_path: Path) -> None:
    result = measure_one(tmp_path / "router", parameters("moe"), recipe(8, layer2=3))
    assert suspects(result)[0] == "layer 2"
    finding = result.findings[0].what
    assert "router alone changes the experts" in finding
    changed = {stage.label: stage.router_changed for stage in result.stages}
    assert changed["layer 2"] is not None
    assert changed["layer 2"] > 0.2
    assert changed["layer 3"] is not None
    assert changed["layer 3"] < 0.05


def test_halves_of_the_queries_in_the_wrong_order_are_found_in_their_layer(tmp_path: Path) -> None:
    weights = parameters("moe")
    path = "language_model.model.layers.1.self_attn.q_proj.weight"
    heads = np.array(weights[path]).reshape(6, 2, 8, 64)  # pairs next to each other, as some formats store them
    weights[path] = mx.array(heads.transpose(0, 2, 1, 3).reshape(96, 64).copy())
    result = measure_one(tmp_path / "order", weights)  # unpacked: random weights hardly attend, so the error is small
    assert suspects(result) == ["layer 1"]


@pytest.mark.parametrize(
    ("module", "name", "mutant", "where", "reason"),
    [
        (edge.model.rope, "frequency_axes", lambda section, num: np.arange(num) * 3 // num, "layer 0", "rotary axes"),
        (edge.model.text, "add_rows", lambda hidden, rows, values: hidden, "layer 0", "DeepStack"),
    ],
    ids=["rope order", "deepstack dropped"],
)
def test_a_fault_of_the_runtime_is_found_by_pictures(
    module: object,
    name: str,
    mutant: Callable[..., object],
    where: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, name, mutant)
    result = measure_one(tmp_path / name, parameters("moe"))
    assert suspects(result)[0] == where
    assert reason in result.findings[0].what


# Pairs that do not belong together --------------------------------------------------------------------------------


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WeightError, match=r"other holds the weights of another model than .*moe: its last norm"):
        measure(write_candidate(tmp_path / "other", "moe", parameters("moe", seed=5)))


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dense is no conversion of .*moe: model_type is qwen3_vl_moe in the ref"):
        measure(write_candidate(tmp_path / "dense", "dense", parameters("dense")))


def test_another_rope_base_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_candidate(tmp_path / "rope", "moe", parameters("moe"))
    edit_config(folder, "text_config", "rope_theta", value=71)
    with pytest.raises(ConfigError, match=r"text\.rope\.theta is 70\.0 in the reference and 71\.0 in the candidate"):
        measure(folder)


def test_another_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    folder = other_tokenizer(write_candidate(tmp_path / "letters", "moe", parameters("moe")))
    with pytest.raises(PromptError, match=r"letters has another tokenizer, .*: prompt words differs from token"):
        measure(folder)


def test_other_picture_settings_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_candidate(tmp_path / "sizes", "moe", parameters("moe"))
    path = folder / "preprocessor_config.json"
    path.write_text(path.read_text().replace("256", "1024"))
    with pytest.raises(PromptError, match=r"prompt image has pictures of .* patches there and .* here"):
        measure(folder)


# Killed and resumed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_steps", [3, 11, 17, 30])
def test_a_run_that_was_cut_off_goes_on_and_reports_the_same(
    num_steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_candidate(tmp_path / "q4", "moe", parameters("moe"), quantization=recipe(4))
    expected = measure(folder)
    calls = 0

    def cut_off(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > num_steps:
            raise KeyboardInterrupt
        return real_run_stage(*arguments)  # type: ignore[arg-type]  # passed on as they came

    for module in ("teacher", "compare"):
        monkeypatch.setattr(f"convert.verify.{module}.run_stage", cut_off)
    with pytest.raises(KeyboardInterrupt, match=r"What is done is kept in .*; run the same command again to go on"):
        measure(folder, work=tmp_path / "work")
    calls = -1000
    assert measure(folder, work=tmp_path / "work") == expected
    assert calls < -1000 + 12 + 2 * 12 - min(num_steps, 12)  # what was done is not done again


def test_many_candidates_share_one_pass_of_the_reference(tmp_path: Path) -> None:
    measure(shared() / "moe")
    lines: list[str] = []
    root = shared()
    candidate = write_candidate(tmp_path / "q8", "moe", parameters("moe"), quantization=recipe(8))
    prepared = Measurement.prepare(
        str(root / "moe"),
        candidates=[str(candidate)],
        prompts=str(root / "prompts.jsonl"),
        dtype="float32",
        work=root / "work",
    )
    prepared.run(say=lines.append)
    assert not [line for line in lines if line.startswith("reference: ")]


def test_a_pass_that_does_not_fit_is_refused_before_it_starts() -> None:
    root = shared()
    prepared = Measurement.prepare(
        str(root / "moe"), candidates=[], prompts=str(root / "prompts.jsonl"), dtype="float32", work=root / "work"
    )
    plan = prepared.plan()
    with pytest.raises(MemoryPlanError, match="One block of the reference needs"):
        plan.check(available=plan.memory_bytes - 1)


def test_the_plan_counts_what_the_states_take() -> None:
    measure(shared() / "moe")
    root = shared()
    prepared = Measurement.prepare(
        str(root / "moe"), candidates=[], prompts=str(root / "prompts.jsonl"), dtype="float32", work=root / "work"
    )
    files = list(prepared.work_folder.glob("*.safetensors"))
    num_bytes = sum(path.stat().st_size for path in files)
    assert num_bytes <= prepared.plan().disk_bytes <= 1.3 * num_bytes


def test_layers_without_experts_are_among_the_tested_ones() -> None:
    assert raw_config("moe")["text_config"]["mlp_only_layers"] == [1]
