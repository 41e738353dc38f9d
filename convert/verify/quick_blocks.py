"""Choose who runs a float checkpoint's blocks: torch on a CPU, where it is installed, or this runtime's MLX."""

from __future__ import annotations

from importlib.util import find_spec

import mlx.core as mx

from convert.verify.mlx_blocks import MlxBlocks
from convert.verify.stages import Blocks
from edge.checkpoint.folder import Checkpoint


def choose_blocks(checkpoint: Checkpoint) -> Blocks:
    """Take torch on a CPU where it is installed: its products are many times as quick there; float32 either way."""
    is_plain = not checkpoint.quantized and checkpoint.adapter is None
    if is_plain and mx.default_device().type == mx.cpu and find_spec("torch") and find_spec("transformers"):
        import torch

        from convert.verify.torch_blocks import TorchBlocks

        return TorchBlocks(checkpoint, dtype=torch.float32)
    return MlxBlocks.from_checkpoint(checkpoint, dtype=mx.float32)
