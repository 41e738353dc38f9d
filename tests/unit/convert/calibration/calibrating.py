"""Tiny models and prompts to calibrate on, in this process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import mlx.core as mx
import numpy as np

from convert.calibration.file import Calibration
from convert.calibration.run import Settings, calibrate
from convert.source import Source, open_source
from convert.verify.samples import Sample, SampleSet
from tests.unit.convert.mlx.conversion import group_config_json, write_source
from tests.unit.convert.verify.prompts import sample

SETTINGS = Settings(prompts="tests")


def text_samples(*, count: int = 4, length: int = 12, seed: int = 0, vocab: int = 90) -> SampleSet:
    rng = np.random.default_rng(seed)
    items: tuple[Sample, ...] = tuple(sample(*rng.integers(0, vocab, length).tolist()) for _ in range(count))
    digest = hashlib.sha256(b"".join(item.prompt.token_ids.tobytes() for item in items)).hexdigest()
    return SampleSet(items, (), digest)


def tiny_source(folder: Path, *, num_experts: int | None = None) -> Source:
    raw = group_config_json()
    if num_experts is not None:
        raw["text_config"] |= {"num_experts": num_experts}
    return opened(write_source(folder, raw))


def opened(folder: Path) -> Source:
    return open_source(folder, name=folder.name, dtype=mx.float32)


def calibrated(source: Source, out: Path, samples: SampleSet | None = None) -> Calibration:
    calibrate(source, samples or text_samples(), out, settings=SETTINGS, say=lambda line: None)
    return Calibration.open(out)


def hashes_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
