"""Pass on `edge.run.sample` under its old name."""

from __future__ import annotations

from edge.run.sample import Sampler, SamplingParams

__all__ = ["Sampler", "SamplingParams"]
