"""The reference: transformers' own Qwen3-VL modules, one block in memory at a time.

Every number comes from code of transformers; this file only decides which module runs when, as
`Qwen3VLMoeModel.forward` and `Qwen3VLMoeTextModel.forward` do (checked bit for bit in tests/parity).
Source: transformers 5.23 modeling_qwen3_vl_moe.py and modeling_qwen3_vl.py.
"""

from __future__ import annotations

import copy
import importlib
import os
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from convert.verify.samples import Sample
from convert.verify.stages import Array, Experts, LayerOutput
from convert.verify.torch_weights import TorchWeights
from edge.checkpoint.folder import Checkpoint
from edge.errors import PromptError
from edge.model.types import Grid

# transformers is not typed: modules, configs and rotary embeddings are Any here.
Torch = Any
_MODULES = {
    "qwen3_vl": ("transformers.models.qwen3_vl.modeling_qwen3_vl", "Qwen3VL"),
    "qwen3_vl_moe": ("transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe", "Qwen3VLMoe"),
}
_VISION, _TEXT = "model.visual.", "model.language_model."


class TorchBlocks:
    """`Blocks` of a checkpoint in transformers."""

    def __init__(self, checkpoint: Checkpoint, *, dtype: torch.dtype) -> None:
        _bound_kernel_cache()
        transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers is not typed
        self._weights = TorchWeights(checkpoint)
        self._dtype = dtype
        self._is_tied = checkpoint.config.tie_word_embeddings
        self._ids = (checkpoint.config.image_token_id, checkpoint.config.video_token_id)
        module_name, self._prefix = _MODULES[checkpoint.config.model_type]
        self._code: Torch = importlib.import_module(module_name)
        config = AutoConfig.from_pretrained(checkpoint.source.folder, local_files_only=True)
        for part in (config, config.text_config, config.vision_config):
            part._attn_implementation = "sdpa"  # what from_pretrained chooses on a CPU
            part._experts_implementation = "eager"  # the definition; grouped products differ in rounding
        self._config: Torch = config
        self._rotary: Torch = self._class("TextRotaryEmbedding")(config.text_config)
        self._vision_rotary: Torch = self._class("VisionRotaryEmbedding")(config.vision_config)
        self._loaded: tuple[str, Torch] | None = None

    @torch.no_grad()
    def start_vision(self, patches: Array, grid: Grid) -> Array:
        """Run a tower of no blocks: patch embedding and positions."""
        config = copy.deepcopy(self._config.vision_config)
        config.depth, config.deepstack_visual_indexes = 0, []
        tower = self._block(_VISION, partial(self._class("VisionModel"), config))
        # transformers keeps the rotary frequencies as a buffer, which was made without memory.
        tower.rotary_pos_emb = self._vision_rotary
        output = tower(self._tensor(patches), grid_thw=torch.tensor([grid]), return_dict=True)
        return _to_numpy(output.last_hidden_state)

    @torch.no_grad()
    def vision_block(self, index: int, hidden: Array, grid: Grid) -> Array:
        """Run one block of the tower."""
        build = partial(self._class("VisionBlock"), self._config.vision_config)
        block = self._block(f"{_VISION}blocks.{index}.", build)
        states, grids = self._tensor(hidden), torch.tensor([grid])
        places = self._code.get_vision_position_ids(grids, self._config.vision_config.spatial_merge_size)
        lengths, longest = self._code.get_vision_attention_seqlens(grids, self._config.vision_config)
        turned = self._vision_rotary(states, places)
        return _to_numpy(block(states, cu_seqlens=lengths, max_seqlen=longest, position_embeddings=turned))

    @torch.no_grad()
    def merge(self, level: int | None, hidden: Array) -> Array:
        """Run the last merger, or that of a DeepStack level."""
        name = "merger." if level is None else f"deepstack_merger_list.{level}."
        merger_class, config = self._class("VisionPatchMerger"), self._config.vision_config
        build = partial(merger_class, config, use_postshuffle_norm=level is not None)
        return _to_numpy(self._block(_VISION + name, build)(self._tensor(hidden)))

    @torch.no_grad()
    def embed(self, sample: Sample, features: Array | None) -> Array:
        """Look up tokens and scatter the visual features."""
        ids = torch.from_numpy(sample.prompt.token_ids.astype(np.int64))
        embedded = self.embedding_rows(ids).to(self._dtype)
        if features is not None:
            mask = torch.isin(ids, torch.tensor(self._ids))[:, None].expand_as(embedded)
            embedded = embedded.masked_scatter(mask, self._tensor(features))
        return _to_numpy(embedded)

    @torch.no_grad()
    def layer(self, index: int, hidden: Array, sample: Sample, level: Array | None) -> LayerOutput:
        """Run one decoder layer, then transformers' DeepStack step."""
        layer = self._layer(index)
        heard: list[tuple[torch.Tensor, torch.Tensor]] = []
        gate = getattr(layer.mlp, "gate", None)
        hook = gate.register_forward_hook(lambda _module, seen, out: heard.append((seen[0], out[2]))) if gate else None
        states = self._tensor(hidden)[None]
        positions = self.positions(sample)
        # No mask: sdpa is causal by itself, which is what create_causal_mask comes to for one unpadded prompt.
        states = layer(states, attention_mask=None, position_embeddings=self._rotary(states, positions))
        if hook is not None:
            hook.remove()
        if level is not None:
            mask = torch.isin(torch.from_numpy(sample.prompt.token_ids), torch.tensor(self._ids))[None]
            states = self._class("TextModel")._deepstack_process(None, states, mask, self._tensor(level))
        if not heard:
            return LayerOutput(_to_numpy(states[0]))
        router_input, chosen = heard[0]
        return LayerOutput(_to_numpy(states[0]), _sorted_rows(chosen), _to_numpy(router_input.flatten(0, -2)))

    @torch.no_grad()
    def choose_experts(self, index: int, router_input: Array) -> Experts:
        """Run a router alone."""
        build = partial(self._class("TextTopKRouter"), self._config.text_config)
        router = self._block(f"{_TEXT}layers.{index}.mlp.gate.", build)
        return _sorted_rows(router(self._tensor(router_input))[2])

    @torch.no_grad()
    def probe_experts(self, index: int, rows: Array) -> Array:
        """Send rows through every expert of the layer in memory."""
        experts = self._layer(index).mlp.experts
        chosen = torch.arange(experts.num_experts).repeat_interleave(len(rows))[:, None]
        repeated = self._tensor(rows).repeat(experts.num_experts, 1)
        outputs = experts(repeated, chosen, torch.ones(chosen.shape, dtype=self._dtype))
        return _to_numpy(outputs.unflatten(0, (experts.num_experts, len(rows))))

    @torch.no_grad()
    def logits(self, hidden: Array) -> Array:
        """Normalise rows and project them to the vocabulary."""
        text = self._config.text_config
        norm = self._weights.make(
            partial(self._class("TextRMSNorm"), text.hidden_size, eps=text.rms_norm_eps),
            prefix=f"{_TEXT}norm.",
            dtype=self._dtype,
        )
        name = f"{_TEXT}embed_tokens." if self._is_tied else "lm_head."
        head = self._block(name, partial(torch.nn.Linear, text.hidden_size, text.vocab_size, bias=False))
        return _to_numpy(head(norm(self._tensor(hidden))))

    def release(self) -> None:
        """Drop the block in memory."""
        self._loaded = None

    def positions(self, sample: Sample) -> torch.Tensor:
        """Compute rotary positions (3, 1, L) with transformers, and hold the prompt's own against them.

        Raises:
            PromptError: The prompt's positions differ, a fault of this program.
        """
        model_class = self._class("Model")
        stand_in = SimpleNamespace(
            config=self._config, get_vision_position_ids=partial(model_class.get_vision_position_ids, None)
        )
        ids = torch.from_numpy(sample.prompt.token_ids.astype(np.int64))[None]
        kinds = (ids == self._ids[0]).int() + 2 * (ids == self._ids[1]).int()
        grids = {
            kind: [media.grid_thw for media in sample.prompt.media if media.kind == kind] for kind in ("image", "video")
        }
        positions: torch.Tensor = model_class.get_rope_index(
            stand_in,
            ids,
            mm_token_type_ids=kinds,
            image_grid_thw=torch.tensor(grids["image"]) if grids["image"] else None,
            video_grid_thw=torch.tensor(grids["video"]) if grids["video"] else None,
        )[0]
        if not np.array_equal(positions[:, 0].numpy(), sample.prompt.positions):
            raise PromptError(f"{sample.name}: the rotary positions differ from transformers'. Report this as a bug.")
        return positions

    def embedding_rows(self, ids: torch.Tensor) -> torch.Tensor:
        """Read the embedding of some tokens, float32; the rest of the table stays on disk."""
        return self._weights.rows(f"{_TEXT}embed_tokens.weight", ids)

    def final_norm(self) -> Array:
        """Read the weights of the last norm."""
        return _to_numpy(self._weights.vector(f"{_TEXT}norm.weight"))

    def _class(self, name: str) -> Torch:
        return getattr(self._code, self._prefix + name)

    def _layer(self, index: int) -> Torch:
        build = partial(self._class("TextDecoderLayer"), self._config.text_config, index)
        return self._block(f"{_TEXT}layers.{index}.", build)

    def _block(self, prefix: str, build: Torch) -> Torch:
        if self._loaded is None or self._loaded[0] != prefix:
            self._loaded = None  # first let go, then load
            self._loaded = (prefix, self._weights.make(build, prefix=prefix, dtype=self._dtype))
        return self._loaded[1]

    def _tensor(self, array: Array) -> torch.Tensor:
        return torch.from_numpy(array).to(self._dtype)


def _bound_kernel_cache() -> None:
    """Keep oneDNN from keeping a kernel for every number of tokens an expert gets (300 MB after a few layers).

    It reads these when it makes its first kernel, so a process that used bfloat16 products before is not helped.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, "32")


def _to_numpy(tensor: torch.Tensor) -> Array:
    array: Array = tensor.float().numpy()
    return array


def _sorted_rows(experts: torch.Tensor) -> Experts:
    return np.sort(experts.numpy().astype(np.int32), axis=-1)
