"""Say what a calibration takes before it begins: memory, disk on the way, and disk in the end."""

from __future__ import annotations

from dataclasses import dataclass

from convert.calibration.forward import keeps_rows
from convert.calibration.moments import triangle_size
from convert.disk import describe_bytes
from convert.memory import check_memory
from convert.verify.samples import SampleSet
from edge.config import ModelConfig

_LIBRARIES_BYTES = 450_000_000  # Python, numpy, MLX, a real vocabulary, and buffers that come and go, measured
_EXPERTS_BYTES = 400_000_000  # some experts as they are stored and in float32, and what goes through them
_LOGITS_BYTES = 20 * 128  # 128 rows of the vocabulary, and copies
_STATE_COPIES = 7  # before, behind, seen, added, and copies of MLX


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Bytes that a calibration takes: of memory, of the finished folder, and of disk at most on the way."""

    memory_bytes: int
    final_bytes: int
    disk_bytes: int

    @property
    def sentence(self) -> str:
        """All three in words."""
        return (
            f"at most {describe_bytes(self.memory_bytes)} of memory; {describe_bytes(self.disk_bytes)} of disk on the "
            f"way, {describe_bytes(self.final_bytes)} in the end"
        )

    def check(self, available: int | None = None) -> None:
        """Refuse what does not fit.

        Raises:
            MemoryPlanError: Less memory is free.
        """
        advice = "give fewer prompts with --prompts"
        check_memory(self.memory_bytes, what="Calibrating", advice=advice, available=available)


def plan_run(config: ModelConfig, samples: SampleSet, *, fisher_tokens: int) -> RunPlan:
    """Work out memory and disk.

    Args:
        config: The model.
        samples: All prompts.
        fisher_tokens: Tokens of the prompts that Fisher weights are taken from; 0 takes none.
    """
    text, tokens = config.text, samples.num_tokens
    width, mixed = text.hidden_size, text.num_heads * text.head_dim
    state = 4 * tokens * width
    layers = [_layer_bytes(config, index, tokens) for index in range(text.num_layers)]
    head = 0 if config.tie_word_embeddings else 4 * triangle_size(width)
    kept = 4 * fisher_tokens * width * (text.num_layers + 3)
    matrices = 4 * (3 * width**2 + 3 * mixed**2 + 2 * width * (2 * mixed + 2 * text.num_kv_heads * text.head_dim))
    layer_memory = _STATE_COPIES * state + max(layers) + matrices + _EXPERTS_BYTES + _dense_bytes(config)
    head_memory = 6 * text.vocab_size * width + 4 * state + _LOGITS_BYTES * text.vocab_size
    vision = 16 * samples.num_patches * config.vision.hidden_size
    final = sum(layers) + head
    return RunPlan(
        memory_bytes=_LIBRARIES_BYTES + max(layer_memory, head_memory if fisher_tokens else 0, vision),
        final_bytes=final,
        disk_bytes=final + 3 * state + kept,
    )


def _layer_bytes(config: ModelConfig, index: int, tokens: int) -> int:
    """Bytes of a layer's file."""
    text, width = config.text, config.text.hidden_size
    shared = 4 * (2 * triangle_size(width) + triangle_size(text.num_heads * text.head_dim))
    if text.moe is None or not text.is_sparse_layer(index):
        return shared + 4 * triangle_size(text.intermediate_size)
    experts = text.moe.num_experts
    middle = 4 * experts * triangle_size(text.moe.intermediate_size)
    if keeps_rows(num_tokens=tokens, width=width, num_experts=experts):
        return shared + middle + 2 * tokens * (width + text.moe.experts_per_token)
    return shared + middle + 4 * experts * triangle_size(width)


def _dense_bytes(config: ModelConfig) -> int:
    """Memory of a dense layer's matrices, stored and in float32, and of what its down projection sees."""
    text = config.text
    if all(text.is_sparse_layer(index) for index in range(text.num_layers)):
        return 0
    return 18 * text.hidden_size * text.intermediate_size + 12 * text.intermediate_size**2
