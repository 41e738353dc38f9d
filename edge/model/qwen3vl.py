"""The whole model: `encode_vision` for media, `__call__` for tokens.

Pure: positions, memories and visual rows are arguments, nothing is remembered between calls. Parameter paths
(`vision_tower...`, `language_model.model.layers.N...`) equal those of published MLX checkpoints, but for projections
and norms that are joined here and kept apart there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import NDArray

from edge.config import ModelConfig
from edge.kv.layer import RowMemory
from edge.model.rope import make_rope
from edge.model.text import LanguageModel
from edge.model.types import Grid, VisionOutput, VisualRows
from edge.model.vision import VisionTower


class Qwen3VL(nn.Module):
    """Qwen3-VL, dense or with experts."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_tower = VisionTower(config.vision)
        self.language_model = LanguageModel(config.text, is_tied=config.tie_word_embeddings)

    def encode_vision(self, patches: mx.array, grids: Sequence[Grid]) -> VisionOutput:
        """Encode pictures and videos.

        Args:
            patches: Flat patches of all media, (N, patch_values).
            grids: One (frames, rows, columns) in patches per media.

        Returns:
            Features and DeepStack levels, (M, D) each, in the order of the media.
        """
        return self.vision_tower(patches, grids)

    def vision_steps(self, patches: mx.array, grids: Sequence[Grid]) -> Generator[mx.array, None, VisionOutput]:
        """Encode pictures and videos as `encode_vision` does, block by block; see `VisionTower.steps`."""
        return self.vision_tower.steps(patches, grids)

    def __call__(
        self,
        token_ids: mx.array,
        *,
        positions: NDArray[np.integer],
        memory: Sequence[RowMemory] | None = None,
        visual: VisualRows | None = None,
        last_only: bool = False,
    ) -> mx.array:
        """Compute the logits of new tokens.

        Args:
            token_ids: (B, L) integers.
            positions: Rows time, height, width of the new tokens, (3, B, L) on the host.
            memory: Per row, one memory per layer with the row's earlier tokens, extended by this call; None if there
                are none and none are to be remembered. A token sees its row's earlier tokens and those before it.
            visual: Visual tokens among the new ones.
            last_only: Compute the last column only; spares most of the last layer, and an (L, V) matrix.

        Returns:
            Logits (B, L, V), or (B, 1, V) with `last_only`.
        """
        num_rows, length = token_ids.shape
        assert positions.shape == (3, num_rows, length), (
            f"positions should be {(3, num_rows, length)}, found {positions.shape}"
        )
        text = self.config.text
        rope = make_rope(positions, config=text.rope, head_dim=text.head_dim)
        assert memory is None or len(memory) == num_rows, f"{num_rows} rows should have as many memories"
        decoder = self.language_model.model
        embedded = decoder.embed(token_ids, visual)
        return self.language_model.logits(
            decoder(embedded, rope=rope, memory=memory, visual=visual, last_only=last_only)
        )
