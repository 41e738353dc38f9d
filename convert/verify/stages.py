"""Name the steps of one pass through the model, and run one step of one model on kept states.

The reference and every candidate are `Blocks`: the model one block at a time. A step reads the states of earlier
steps from a `States` (its own, or the reference's), so that the same function gives a candidate's carried states
and what its single block makes of the reference's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from convert.verify.samples import Sample, SampleSet
from edge.config import ModelConfig
from edge.model.types import Grid

Array = NDArray[np.float32]
Experts = NDArray[np.int32]
StageKind = Literal["vision start", "vision block", "DeepStack level", "vision merger", "embedding", "layer"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step.

    Attributes:
        name: Also of its file.
        kind: What it is.
        index: Number of the block, layer or level.
        source: The step whose output it continues.
        level: The DeepStack step that is added behind this layer.
    """

    name: str
    kind: StageKind
    index: int
    source: str | None
    level: str | None = None

    @property
    def label(self) -> str:
        """How reports name it."""
        numbered = self.kind in ("vision block", "DeepStack level", "layer")
        return f"{self.kind} {self.index}" if numbered else self.kind

    @property
    def is_vision(self) -> bool:
        """Tell whether its states are one per media, not one per prompt."""
        return self.kind not in ("embedding", "layer")


@dataclass(frozen=True, slots=True, eq=False)
class LayerOutput:
    """What a step gives for one prompt or media.

    Attributes:
        hidden: States (L, D).
        experts: Of every token, (L, A), sorted in each row, if the layer has some.
        router_input: What the router saw, (L, D); kept of the reference, so that routers can be held against it.
    """

    hidden: Array
    experts: Experts | None = None
    router_input: Array | None = None


class Blocks(Protocol):
    """A model, one block at a time; arrays are float32 whatever the model computes in."""

    def start_vision(self, patches: Array, grid: Grid) -> Array:
        """Embed patches (N, patch_values) and add positions: (N, Dv)."""
        ...

    def vision_block(self, index: int, hidden: Array, grid: Grid) -> Array:
        """Run one block on (N, Dv)."""
        ...

    def merge(self, level: int | None, hidden: Array) -> Array:
        """Turn patches (N, Dv) into visual tokens (M, D); `level` chooses the DeepStack merger, None the last one."""
        ...

    def embed(self, sample: Sample, features: Array | None) -> Array:
        """Look up a prompt's tokens and place its visual features (K, D): (L, D)."""
        ...

    def layer(self, index: int, hidden: Array, sample: Sample, level: Array | None) -> LayerOutput:
        """Run one decoder layer on (L, D), then add a DeepStack level (K, D) to the visual rows."""
        ...

    def choose_experts(self, index: int, router_input: Array) -> Experts:
        """Run a layer's router alone on (L, D): (L, A), sorted in each row."""
        ...

    def probe_experts(self, index: int, rows: Array) -> Array:
        """Send rows (R, D) through every expert of a layer, unweighted: (E, R, D)."""
        ...

    def logits(self, hidden: Array) -> Array:
        """Normalise and project rows (R, D): (R, V)."""
        ...

    def release(self) -> None:
        """Let go of the block in memory."""
        ...


class States(Protocol):
    """Kept outputs of steps."""

    def hidden(self, name: str) -> list[Array]:
        """Return a step's states, one per media or prompt."""
        ...


def list_stages(config: ModelConfig, *, has_media: bool) -> list[Stage]:
    """Return all steps before the logits, in order."""
    stages: list[Stage] = []
    if has_media:
        stages.append(Stage("vision-start", "vision start", 0, None))
        for index in range(config.vision.depth):
            stages.append(Stage(f"vision-block-{index:02}", "vision block", index, stages[_last_block(stages)].name))
            if index in config.vision.deepstack_indexes:
                level = config.vision.deepstack_indexes.index(index)
                stages.append(Stage(level_name(level), "DeepStack level", level, f"vision-block-{index:02}"))
        stages.append(Stage("vision-merger", "vision merger", 0, f"vision-block-{config.vision.depth - 1:02}"))
    stages.append(Stage("embedding", "embedding", 0, "vision-merger" if has_media else None))
    for index in range(config.text.num_layers):
        source = layer_name(index - 1) if index else "embedding"
        has_level = has_media and index < len(config.vision.deepstack_indexes)
        stages.append(Stage(layer_name(index), "layer", index, source, level_name(index) if has_level else None))
    return stages


def layer_name(index: int) -> str:
    """Return the name of a decoder layer's step."""
    return f"layer-{index:02}"


def level_name(level: int) -> str:
    """Return the name of a DeepStack merger's step."""
    return f"vision-level-{level}"


def run_stage(blocks: Blocks, stage: Stage, samples: SampleSet, states: States) -> list[LayerOutput]:
    """Run one step on all media or prompts.

    Args:
        blocks: The model.
        stage: The step.
        samples: What goes through.
        states: Outputs of earlier steps.
    """
    if stage.kind == "embedding":
        merged = states.hidden(stage.source) if stage.source else []
        return [LayerOutput(blocks.embed(sample, _features(sample, merged))) for sample in samples.samples]
    if stage.kind == "layer":
        assert stage.source is not None, "a layer continues something"
        levels = states.hidden(stage.level) if stage.level else []
        return [
            blocks.layer(stage.index, hidden, sample, _features(sample, levels))
            for sample, hidden in zip(samples.samples, states.hidden(stage.source), strict=True)
        ]
    grids = [media.grid_thw for media in samples.media]
    if stage.source is None:
        return [LayerOutput(blocks.start_vision(media.patches, media.grid_thw)) for media in samples.media]
    inputs = states.hidden(stage.source)
    if stage.kind == "vision block":
        pairs = zip(inputs, grids, strict=True)
        return [LayerOutput(blocks.vision_block(stage.index, hidden, grid)) for hidden, grid in pairs]
    level = stage.index if stage.kind == "DeepStack level" else None
    return [LayerOutput(blocks.merge(level, hidden)) for hidden in inputs]


def _features(sample: Sample, by_media: Sequence[Array]) -> Array | None:
    return sample.visual_features(by_media) if by_media and sample.media_ids else None


def _last_block(stages: Sequence[Stage]) -> int:
    return max(i for i, stage in enumerate(stages) if stage.kind in ("vision start", "vision block"))
