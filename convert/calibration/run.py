"""Calibrate a model: all prompts through it block by block, then the gradient of some of them back.

In: an opened source and samples. Out: the folder that `file` reads. Every finished step is a file in `OUT.partial`, so
that a killed run goes on with the next one and ends with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from convert.calibration.arithmetic import rms_norm
from convert.calibration.backward import turn_layer_back
from convert.calibration.file import FORMAT, RECORD
from convert.calibration.forward import LayerPass
from convert.calibration.identity import CalibratedModel
from convert.calibration.loss import Head, embedding_square
from convert.calibration.moments import Floats, pack_triangle
from convert.calibration.plan import plan_run
from convert.calibration.sites import EMBEDDING, HEAD, HEAD_BLOCK, LAYER, MIDDLE, layer_block
from convert.calibration.store import RunStore
from convert.calibration.tables import read_rows_of, read_whole
from convert.calibration.vision import place_features, run_vision
from convert.calibration.weights import LayerWeights
from convert.card import tool_versions
from convert.final import FinalFolder
from convert.partial import PartialOutput
from convert.source import Source
from convert.verify.samples import Sample, SampleSet
from edge.checkpoint.names.hub import expected_parameters
from edge.errors import SpoiledError

FISHER_TOKENS = 8192  # their states are kept for the way back; more change the weights of whole matrices little
_ROWS_AT_ONCE = 4096
_EMBEDDED = "embedding"
_NORM = "language_model.model.norm.weight"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asks for: where the prompts come from, and whether Fisher weights are taken."""

    prompts: str
    has_fisher: bool = True


def calibrate(
    source: Source, samples: SampleSet, out: Path, *, settings: Settings, say: Say
) -> dict[str, dict[str, int]]:
    """Make a calibration, or go on with an unfinished one.

    Args:
        source: The original checkpoint, float weights.
        samples: All prompts.
        out: Final name of the folder.
        settings: What was asked for.
        say: Told what is done.

    Returns:
        By layer, the experts that saw too few tokens for moments of their own, and how many they saw.

    Raises:
        UsageError: OUT exists, or its unfinished folder belongs to other settings.
        MemoryPlanError: It does not fit into memory.
        WeightError: A file of the source is damaged, or has changed meanwhile.
        OutputError: The disk is full or fails.
    """
    chosen = choose_fisher(samples.samples) if settings.has_fisher else []
    fisher_tokens = sum(samples.samples[number].length for number in chosen)
    plan = plan_run(source.checkpoint.config, samples, fisher_tokens=fisher_tokens)
    say(f"{source.files.identity.name}: {len(samples.samples)} prompts, {samples.num_tokens:,} tokens; {plan.sentence}")
    plan.check()
    output = PartialOutput(FinalFolder(out), files=(), pieces=())
    done = sum(path.stat().st_size for path in output.path.glob("*.safetensors")) if output.path.is_dir() else 0
    with output.opened(_key(source, samples, settings), extra_bytes=max(0, plan.disk_bytes - done)):
        run = _Run(source, samples, chosen, RunStore(output.path), say)
        try:
            fisher = run.run()
            source.files.check_unchanged()
        except SpoiledError:
            output.discard(run.store.names())
            raise
        run.store.clear_states()
        record = _record(source, samples, settings, fisher, fisher_tokens)
        few = run.few()
        run.store.write_record(RECORD, record | {"few": few, "files": run.store.hashes()})
        output.finish([RECORD])
    return few


def choose_fisher(samples: Sequence[Sample]) -> list[int]:
    """Choose prompts for Fisher weights, evenly spaced among all, with about `FISHER_TOKENS` tokens."""
    total = sum(sample.length for sample in samples)
    return list(range(0, len(samples), -(-total // FISHER_TOKENS)))


def _key(source: Source, samples: SampleSet, settings: Settings) -> dict[str, str]:
    """Say what decides the bytes of a calibration: an unfinished one of another key is not gone on with."""
    return {
        "source": source.files.key(),
        "prompts": samples.digest,
        "--no-fisher": str(not settings.has_fisher),
        "versions": tool_versions(),
    }


def _record(
    source: Source, samples: SampleSet, settings: Settings, fisher: Mapping[str, float], fisher_tokens: int
) -> dict[str, Any]:  # Any: JSON
    kinds: dict[str, int] = {}
    for sample in samples.samples:
        kinds[sample.kind] = kinds.get(sample.kind, 0) + sample.length
    return {
        "format": FORMAT,
        "model": CalibratedModel.of(source.checkpoint, source.files.identity).to_record(),
        "prompts": {
            "source": settings.prompts,
            "digest": samples.digest,
            "count": len(samples.samples),
            "tokens": samples.num_tokens,
            "tokens_by_kind": kinds,
            "fisher_tokens": fisher_tokens,
        },
        "fisher": dict(fisher),
        "versions": tool_versions(),
    }


class _Run:
    """The steps of one run, each of which looks first whether it was done."""

    def __init__(self, source: Source, samples: SampleSet, chosen: Sequence[int], store: RunStore, say: Say) -> None:
        self.store = store
        self._checkpoint = source.checkpoint
        self._text = source.checkpoint.config.text
        self._set, self._samples = samples, samples.samples
        self._chosen = [samples.samples[number] for number in chosen]
        self._numbers = list(chosen)
        self._rows = _rows_of(samples.samples, chosen)
        self._say = say

    def run(self) -> dict[str, float]:
        """Do everything that is not done; return the Fisher weight of every parameter."""
        last = self._text.num_layers - 1
        if not self._any_state():
            self._embed()
        for index in range(self._text.num_layers):
            self._forward(index)
        self._see_head(layer_block(last))
        if not self._chosen:
            return {}
        self._turn_head(layer_block(last))
        for index in range(last, -1, -1):
            self._backward(index)
        return self._fisher()

    def few(self) -> dict[str, dict[str, int]]:
        """Return by layer the experts that saw fewer tokens than a quarter of their inputs, and how many."""
        found: dict[str, dict[str, int]] = {}
        for index in range(self._text.num_layers):
            if self._text.is_sparse_layer(index):
                counts = self.store.load_one(layer_block(index), f"{MIDDLE}.counts").tolist()
                own = {str(expert): count for expert, count in enumerate(counts) if 4 * count < self._text.hidden_size}
                found |= {str(index): own} if own else {}
        return found

    def _any_state(self) -> bool:
        names = [_EMBEDDED, *(layer_block(index) for index in range(self._text.num_layers))]
        return any(self.store.has_state(name) for name in names)

    def _embed(self) -> None:
        self._say("calibrate: pictures and embedding")
        features, levels = run_vision(self._checkpoint, self._set)
        ids = np.concatenate([np.asarray(sample.prompt.token_ids) for sample in self._samples]).astype(np.int64)
        hidden = read_rows_of(self._checkpoint, EMBEDDING, ids)
        place_features(hidden, self._samples, features)
        added: dict[str, Floats] = {}
        for number, level in enumerate(levels):
            rows = np.zeros_like(hidden)
            place_features(rows, self._samples, level)
            added[f"{number}"] = rows[self._visual_rows()]
        if added:
            self.store.save_state("levels", added)
        self.store.save_state(_EMBEDDED, {"hidden": hidden})

    def _visual_rows(self) -> np.ndarray:
        starts = np.cumsum([0, *(sample.length for sample in self._samples)])
        parts = [start + sample.visual_rows for start, sample in zip(starts, self._samples, strict=False)]
        return np.concatenate(parts)

    def _forward(self, index: int) -> None:
        name, former = layer_block(index), layer_block(index - 1) if index else _EMBEDDED
        if any(self.store.has_state(layer_block(later)) for later in range(index, self._text.num_layers)):
            self.store.drop_state(former)  # a run that was killed between the two
            return
        start_s = time.monotonic()
        hidden = self.store.load_state(former)["hidden"]
        layer = LayerPass(LayerWeights(self._checkpoint, index), self._text)
        behind, arrays = layer.run(hidden, self._samples)
        if self.store.has_state("levels"):
            level = self.store.load_state("levels").get(f"{index}")
            if level is not None:
                behind[self._visual_rows()] += level
        self.store.save(name, arrays)
        if self._chosen:
            self.store.save_state(f"{name}-before", {"hidden": hidden[self._rows]})
        self.store.save_state(name, {"hidden": behind})
        self.store.drop_state(former)
        mx.clear_cache()
        self._say(f"calibrate: layer {index + 1} of {self._text.num_layers} ({time.monotonic() - start_s:.1f} s)")

    def _see_head(self, last: str) -> None:
        if self._checkpoint.config.tie_word_embeddings or self.store.has(HEAD_BLOCK):
            return
        hidden = self.store.load_state(last)["hidden"]
        norm = read_whole(self._checkpoint, _NORM)
        total = np.zeros((hidden.shape[1], hidden.shape[1]), np.float32)
        for start in range(0, len(hidden), _ROWS_AT_ONCE):
            seen = rms_norm(hidden[start : start + _ROWS_AT_ONCE], norm, self._text.rms_norm_eps)
            total += seen.T @ seen
        matrix = pack_triangle(total / np.float32(len(hidden)))
        self.store.save(HEAD_BLOCK, {"head.matrix": matrix, "head.counts": np.array([len(hidden)], np.int64)})

    def _turn_head(self, last: str) -> None:
        if self.store.has_state("gradient-done") or any(
            self.store.has_state(f"gradient-{index}") for index in range(self._text.num_layers + 1)
        ):
            return
        self._say("calibrate: predictions")
        name = EMBEDDING if self._checkpoint.config.tie_word_embeddings else HEAD
        norm, matrix = (read_whole(self._checkpoint, parameter) for parameter in (_NORM, name))
        head = Head(norm, matrix, self._text.rms_norm_eps)
        hidden = self.store.load_state(last)["hidden"][self._rows]
        gradient, square = np.zeros_like(hidden), 0.0
        for number, sample, place in zip(self._numbers, self._chosen, _places(self._chosen), strict=True):
            gradient[place], own = head.turn_back(hidden[place], sample, number)
            square += own
        self.store.save_state("squares-head", {name: np.array([square])})
        self.store.save_state(f"gradient-{self._text.num_layers}", {"gradient": gradient})
        mx.clear_cache()

    def _backward(self, index: int) -> None:
        if any(self.store.has_state(f"gradient-{earlier}") for earlier in range(index + 1)):
            self.store.drop_state(f"gradient-{index + 1}")
            return
        start_s = time.monotonic()
        gradient = self.store.load_state(f"gradient-{index + 1}")["gradient"]
        hidden = self.store.load_state(f"{layer_block(index)}-before")["hidden"]
        layer = LayerPass(LayerWeights(self._checkpoint, index), self._text)
        before, squares = turn_layer_back(layer, self._text, hidden, self._chosen, gradient)
        named = {f"{LAYER}{index}.{name}.weight": np.array([value]) for name, value in squares.items()}
        self.store.save_state(f"squares-{index}", named)
        self.store.save_state(f"gradient-{index}", {"gradient": before})
        self.store.drop_state(f"gradient-{index + 1}")
        mx.clear_cache()
        self._say(f"calibrate: gradient of layer {index + 1} ({time.monotonic() - start_s:.1f} s)")

    def _fisher(self) -> dict[str, float]:
        squares: dict[str, float] = {}
        for part in ("head", *range(self._text.num_layers)):
            for name, value in self.store.load_state(f"squares-{part}").items():
                squares[name] = float(value[0])
        gradient = self.store.load_state("gradient-0")["gradient"]
        pairs = zip(self._chosen, _places(self._chosen), strict=True)
        own = sum(embedding_square(gradient[place], sample) for sample, place in pairs)
        squares[EMBEDDING] = squares.get(EMBEDDING, 0.0) + own
        predicted = sum(len(sample.scored) for sample in self._chosen)
        shapes = expected_parameters(self._checkpoint.config)
        return {name: squares[name] / predicted / int(np.prod(shapes[name])) for name in shapes if name in squares}


def _rows_of(samples: Sequence[Sample], chosen: Sequence[int]) -> np.ndarray:
    """Return the rows of the chosen prompts among those of all."""
    places = list(_places(samples))
    parts = [np.arange(places[number].start, places[number].stop) for number in chosen]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _places(samples: Sequence[Sample]) -> list[slice]:
    ends = np.cumsum([0, *(sample.length for sample in samples)]).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]
