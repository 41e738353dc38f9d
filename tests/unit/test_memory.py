from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

import edge
from edge.checkpoint.files.shards import TensorSource
from edge.config import ModelConfig, MoeConfig, RopeConfig, TextConfig, VisionConfig
from edge.errors import MemoryPlanError
from edge.kv.make import bytes_per_token
from edge.memory import (
    CHUNK_BUDGET_BYTES,
    GB,
    Precision,
    _cgroup_free_bytes,
    available_bytes,
    check_weights_fit,
    choose_chunk_tokens,
    plan_request,
    prefill_bytes,
)
from edge.packed_experts import UNPACK_FROM_PAIRS, UNPACKED_BYTES
from tests.unit.run.tiny import begin, prompt_of, tiny_config

GPU = Precision(itemsize=2, is_attention_fused=True)
CPU = Precision(itemsize=4, is_attention_fused=False)
TEXT_30B = TextConfig(
    hidden_size=2048,
    num_layers=48,
    num_heads=32,
    num_kv_heads=4,
    head_dim=128,
    intermediate_size=6144,
    vocab_size=151936,
    max_position_embeddings=262144,
    rms_norm_eps=1e-6,
    rope=RopeConfig(theta=5e6, mrope_section=(24, 20, 20)),
    moe=MoeConfig(
        num_experts=128, experts_per_token=8, intermediate_size=768, decoder_sparse_step=1, mlp_only_layers=()
    ),
)
VISION_30B = VisionConfig(
    depth=27,
    hidden_size=1152,
    intermediate_size=4304,
    num_heads=16,
    in_channels=3,
    patch_size=16,
    temporal_patch_size=2,
    spatial_merge_size=2,
    num_position_embeddings=2304,
    out_hidden_size=2048,
    deepstack_indexes=(8, 16, 24),
)
CONFIG_30B = ModelConfig(
    model_type="qwen3_vl_moe",
    text=TEXT_30B,
    vision=VISION_30B,
    image_token_id=151655,
    video_token_id=151656,
    vision_start_token_id=151652,
    vision_end_token_id=151653,
    tie_word_embeddings=False,
    eos_token_ids=(151645,),
    transformers_version=None,
    quantization=None,
    fp8=None,
)


def test_keys_and_values_of_the_30b_are_98304_bytes_per_token() -> None:
    token_bytes = bytes_per_token(TEXT_30B, kv_bits=None, itemsize=2)
    plan = plan_request(
        CONFIG_30B,
        precision=GPU,
        token_bytes=token_bytes,
        new_tokens=32768,
        context_tokens=32768,
        unseen=(),
        available=10 * GB,
    )
    assert token_bytes == plan.kv_bytes_per_token == 98304
    assert plan.kv_bytes == 32768 * 98304


@pytest.mark.parametrize("tokens", [UNPACK_FROM_PAIRS // 8 - 1, UNPACK_FROM_PAIRS // 8])
def test_experts_that_a_prompt_unpacks_are_planned(tokens: int) -> None:
    def planned(*, unpacks_experts: bool) -> int:
        return plan_request(
            CONFIG_30B,
            precision=replace(GPU, unpacks_experts=unpacks_experts),
            token_bytes=98304,
            new_tokens=tokens,
            context_tokens=tokens,
            unseen=(),
            available=4 * GB,
        ).prefill_bytes

    more = planned(unpacks_experts=True) - planned(unpacks_experts=False)
    assert more == (2 * UNPACKED_BYTES if tokens * 8 >= UNPACK_FROM_PAIRS else 0)


def test_a_request_that_does_not_fit_is_refused_with_what_would_fit() -> None:
    with pytest.raises(MemoryPlanError, match=r"262144 new tokens.*About \d+ new tokens would fit") as caught:
        plan_request(
            CONFIG_30B,
            precision=GPU,
            token_bytes=98304,
            new_tokens=262144,
            context_tokens=262144,
            unseen=(),
            available=4 * GB,
        ).refuse()
    fitting = int(str(caught.value).split("About ")[1].split()[0])
    plan = plan_request(
        CONFIG_30B,
        precision=GPU,
        token_bytes=98304,
        new_tokens=fitting,
        context_tokens=fitting,
        unseen=(),
        available=4 * GB,
    )
    assert plan.fits
    assert plan.needed_bytes <= 4 * GB


def test_weights_that_do_not_fit_are_refused_before_they_are_read() -> None:
    with pytest.raises(MemoryPlanError, match=r"18\.30 GB.*12\.00 GB.*at most 66%"):
        check_weights_fit(18_300_000_000, available=12 * GB, folder="somewhere")
    check_weights_fit(18_300_000_000, available=24 * GB, folder="somewhere")


def test_the_message_is_one_line() -> None:
    with pytest.raises(MemoryPlanError) as caught:
        plan_request(
            CONFIG_30B,
            precision=CPU,
            token_bytes=196608,
            new_tokens=9000,
            context_tokens=9000,
            unseen=(),
            available=0,
        ).refuse()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("context_tokens", [100, 4096, 32768, 262144])
@pytest.mark.parametrize("precision", [GPU, CPU])
def test_the_default_chunk_is_bounded_in_memory(context_tokens: int, precision: Precision) -> None:
    chunk = choose_chunk_tokens(TEXT_30B, precision=precision, context_tokens=context_tokens)
    held = prefill_bytes(TEXT_30B, precision=precision, chunk_tokens=chunk, context_tokens=context_tokens)
    assert chunk == 64 or held <= CHUNK_BUDGET_BYTES


def test_a_longer_context_makes_the_chunk_smaller_where_scores_are_kept() -> None:
    short = choose_chunk_tokens(TEXT_30B, precision=CPU, context_tokens=1024)
    long = choose_chunk_tokens(TEXT_30B, precision=CPU, context_tokens=131072)
    assert long < short


def test_the_largest_picture_counts_for_the_vision_peak() -> None:
    def peak(*grids: tuple[int, int, int]) -> int:
        return plan_request(
            CONFIG_30B,
            precision=CPU,
            token_bytes=196608,
            new_tokens=9,
            context_tokens=9,
            unseen=grids,
            available=100 * GB,
        ).vision_bytes

    assert peak() == 0
    assert 0 < peak((1, 32, 48)) < peak((1, 256, 256), (1, 32, 48)) == peak((1, 256, 256)) < 10 * GB


@pytest.mark.parametrize("chunk_tokens", [64, 700])
def test_a_prefill_stays_within_its_plan(chunk_tokens: int) -> None:
    prompt, text = prompt_of([7, 8, 9, 10] * 175), tiny_config().text
    begin(prompt)  # weights and kernels are there
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    begin(prompt, chunk_tokens=chunk_tokens)
    planned = prefill_bytes(text, precision=CPU, chunk_tokens=chunk_tokens, context_tokens=700)
    # Buffers of keys and values grow by 256 tokens, and are copied when they do.
    planned += 2 * 768 * text.kv_values_per_token * CPU.itemsize
    # MLX allocates where an operation is queued, so the peak depends on how far its worker lags behind: 0.93 to 1.03 of
    # the plan in 80 runs, beside other programs or not.
    assert mx.get_peak_memory() - before <= 1.05 * planned


def test_free_memory_is_measured() -> None:
    assert 0 < available_bytes() < 10**14


def test_a_container_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 100\n")
    assert _cgroup_free_bytes(tmp_path) == 700
    (tmp_path / "memory.max").write_text("max\n")
    assert _cgroup_free_bytes(tmp_path) > 10**15
    assert _cgroup_free_bytes(tmp_path / "missing") > 10**15


def test_a_model_that_does_not_fit_is_refused_before_a_weight_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def counted(self: TensorSource, name: str, start: int = 0, stop: int | None = None) -> mx.array:
        reads.append(name)
        return read(self, name, start, stop)

    read = TensorSource.read
    monkeypatch.setattr(TensorSource, "read", counted)
    monkeypatch.setattr("edge.loading.available_bytes", lambda: 30_000_000)
    with pytest.raises(MemoryPlanError, match=r"0\.05 GB.*This model at 8bit needs 0\.0\d GB"):
        edge.load()
    assert reads == []
    monkeypatch.setattr("edge.loading.available_bytes", lambda: 100_000_000)
    edge.load().close()
    assert reads
