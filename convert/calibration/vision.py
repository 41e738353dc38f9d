"""Run the vision tower over all pictures, one block at a time, and place what it gives in the prompts."""

from __future__ import annotations

from collections.abc import Sequence

from convert.calibration.moments import Floats
from convert.verify.quick_blocks import choose_blocks
from convert.verify.samples import Sample, SampleSet
from convert.verify.stages import Stage, list_stages, run_stage
from edge.checkpoint.folder import Checkpoint


class _Kept:
    """States of steps in memory; the chain's last one, and the mergers' outputs."""

    def __init__(self) -> None:
        self.states: dict[str, list[Floats]] = {}

    def hidden(self, name: str) -> list[Floats]:
        """Return a step's states, one per media."""
        return self.states[name]


def run_vision(checkpoint: Checkpoint, samples: SampleSet) -> tuple[list[Floats], list[list[Floats]]]:
    """Run the tower.

    Args:
        checkpoint: The model.
        samples: Whose media go through.

    Returns:
        Visual tokens (M, D) of each media, and the same of every DeepStack level; empty without media.
    """
    if not samples.media:
        return [], []
    blocks, kept = choose_blocks(checkpoint), _Kept()
    stages = [stage for stage in list_stages(checkpoint.config, has_media=True) if stage.is_vision]
    for number, stage in enumerate(stages):
        kept.states[stage.name] = [output.hidden for output in run_stage(blocks, stage, samples, kept)]
        for name in _unneeded(kept, stages[number + 1 :]):
            del kept.states[name]
    blocks.release()
    levels = [kept.states[stage.name] for stage in stages if stage.kind == "DeepStack level"]
    return kept.states["vision-merger"], levels


def place_features(hidden: Floats, samples: Sequence[Sample], features: Sequence[Floats]) -> None:
    """Put visual tokens in their rows among those of all prompts (T, D), in place."""
    start = 0
    for sample in samples:
        if sample.media_ids:
            hidden[start + sample.visual_rows] = sample.visual_features(features)
        start += sample.length


def _unneeded(kept: _Kept, following: Sequence[Stage]) -> list[str]:
    """Return the steps of the chain that nothing continues any more."""
    needed = {stage.source for stage in following}
    return [name for name in kept.states if name.startswith(("vision-start", "vision-block")) and name not in needed]
