"""Tell whether a checkpoint is the model a calibration was made of, whatever layout its files have.

In: an opened checkpoint. Out: `CalibratedModel`: its sizes, and some of its weights as they are. The same weights in
another layout give the same numbers; FP8 rounds each of them by a sixteenth at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from convert.calibration.sites import EMBEDDING, LAYER
from convert.pieces import cut_rule, list_rules, read_piece
from convert.source import Identity
from edge.checkpoint.files.header import TensorInfo
from edge.checkpoint.folder import Checkpoint
from edge.checkpoint.names.hub import FP8_DTYPE
from edge.checkpoint.names.table import Rule
from edge.config import ModelConfig
from edge.errors import UsageError

_VALUES = 32  # of each sampled parameter
_FP8_ROUNDING = 2**-4 + 2**-6  # half a step of a mantissa of three bits, and the rounding of what it is decoded to
_FP8_LEAST = 1e-3  # of the largest sampled weight: what is as small loses more
_SAMPLED = (
    "input_layernorm",
    "post_attention_layernorm",
    "self_attn.q_proj",
    "self_attn.o_proj",
    "mlp.down_proj",
    "mlp.switch_mlp.down_proj",
)
_FREE_SIZES = ("max_position_embeddings", "rope")  # they change no weight, and files spell them in several ways
_MAKE_ONE = "Make one with `python -m convert calibrate`"
Json = Any  # of `calibration.json`


@dataclass(frozen=True, slots=True)
class Sample:
    """Some weights of a parameter, and whether they were stored in FP8."""

    values: tuple[float, ...]
    is_fp8: bool


@dataclass(frozen=True, slots=True)
class CalibratedModel:
    """The model of a calibration.

    Attributes:
        name: As the user called it, or its hub id.
        revision: Hub commit, if known.
        layout: How its files were laid out; others are as good.
        sizes: What the configuration says of its shape.
        samples: Parameter -> some of its weights.
    """

    name: str
    revision: str | None
    layout: str
    sizes: Mapping[str, Json]
    samples: Mapping[str, Sample]

    @classmethod
    def of(cls, checkpoint: Checkpoint, identity: Identity) -> CalibratedModel:
        """Describe a checkpoint by its sizes and some of its weights."""
        return cls(
            identity.name,
            identity.revision,
            checkpoint.layout,
            _sizes_of(checkpoint.config),
            dict(_samples_of(checkpoint)),
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Json]) -> CalibratedModel:
        """Read what `to_record` wrote. Raises KeyError, TypeError or ValueError where it is none."""
        samples = {
            str(name): Sample(tuple(float(value) for value in item["values"]), bool(item["fp8"]))
            for name, item in record["samples"].items()
        }
        revision = record["revision"]
        return cls(
            str(record["name"]),
            None if revision is None else str(revision),
            str(record["layout"]),
            dict(record["sizes"]),
            samples,
        )

    def to_record(self) -> dict[str, Json]:
        """Return everything as JSON."""
        samples = {name: {"values": list(item.values), "fp8": item.is_fp8} for name, item in self.samples.items()}
        return {
            "name": self.name,
            "revision": self.revision,
            "layout": self.layout,
            "sizes": dict(self.sizes),
            "samples": samples,
        }

    @property
    def label(self) -> str:
        """Name it for messages."""
        return _label(self.name, self.revision)

    def check(self, checkpoint: Checkpoint, identity: Identity, *, where: Path) -> None:
        """Refuse to use a calibration for another model.

        Args:
            checkpoint: What is converted.
            identity: Its name.
            where: The calibration, for the message.

        Raises:
            UsageError: Sizes or weights differ.
        """
        self.check_sizes(checkpoint, identity, where=where)
        problem = _weight_difference(self.samples, dict(_samples_of(checkpoint)))
        if problem:
            raise self._refused(identity, problem, where=where)

    def check_sizes(self, checkpoint: Checkpoint, identity: Identity, *, where: Path) -> None:
        """Refuse to use a calibration for a model of other sizes. Args and errors as for `check`."""
        problem = _size_difference(self.sizes, _sizes_of(checkpoint.config))
        if problem:
            raise self._refused(identity, problem, where=where)

    def check_revision(self, identity: Identity, *, where: Path) -> None:
        """Refuse to use a calibration for weights that are not here yet, unless the hub commit is the same.

        Args:
            identity: What is streamed.
            where: The calibration, for the message.

        Raises:
            UsageError: The commits differ, or one is not known.
        """
        if self.revision is None or self.revision != identity.revision:
            problem = "a stream's weights cannot be compared before they are used, and its commit is another"
            raise self._refused(identity, problem, where=where, instead="Convert without --stream")

    def _refused(self, identity: Identity, problem: str, *, where: Path, instead: str = _MAKE_ONE) -> UsageError:
        return UsageError(
            f"{where}: expected a calibration of {_label(identity.name, identity.revision)}, found one of "
            f"{self.label}: {problem}. {instead}, or leave --calibration out.",
            field="calibration",
        )


def _label(name: str, revision: str | None) -> str:
    return f"{name}, revision {revision}" if revision else name


def _sizes_of(config: ModelConfig) -> dict[str, Json]:
    text = {key: value for key, value in asdict(config.text).items() if key not in _FREE_SIZES}
    return {"model_type": config.model_type, "text": _plain(text), "vision": _plain(asdict(config.vision))}


def _plain(value: Json) -> Json:
    """Turn tuples into lists, as JSON gives them back."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _samples_of(checkpoint: Checkpoint) -> Iterator[tuple[str, Sample]]:
    """Read a few weights of every layer, the embedding and the last norm; some megabytes of each file at most."""
    rules = {target.name: rule for rule in list_rules(checkpoint) for target in rule.targets}
    layers = [
        f"{LAYER}{index}.{name}.weight" for index in range(checkpoint.config.text.num_layers) for name in _SAMPLED
    ]
    for name in ("language_model.model.norm.weight", EMBEDDING, *layers):
        if name in rules:
            yield name, _sample(checkpoint.source.tensors, rules[name], name)


def _sample(infos: Mapping[str, TensorInfo], rule: Rule, name: str) -> Sample:
    first = next(cut_rule(rule, piece_weights=1))
    rows = read_piece(infos, first)[name]
    flat = rows.reshape(-1) if rows.ndim == 1 else rows[0].reshape(-1)
    places = np.linspace(0, flat.size - 1, min(_VALUES, flat.size)).astype(np.int64)
    values = np.array(flat.astype(mx.float32))[places]
    is_fp8 = any(infos[source].dtype == FP8_DTYPE for source in rule.sources)
    return Sample(tuple(values.tolist()), is_fp8)


def _size_difference(made_of: Mapping[str, Json], found: Mapping[str, Json]) -> str:
    for part in ("text", "vision"):
        ours, theirs = made_of.get(part, {}), found[part]
        for key in theirs:
            if ours.get(key) != theirs[key]:
                return f"{part} {key} is {_shown(ours.get(key))} there and {_shown(theirs[key])} here"
    if made_of.get("model_type") != found["model_type"]:
        return f"the model type is {made_of.get('model_type')} there and {found['model_type']} here"
    return ""


def _shown(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "nothing" if value is None else str(value)


def _weight_difference(made_of: Mapping[str, Sample], found: Mapping[str, Sample]) -> str:
    for name, own in found.items():
        former = made_of.get(name)
        if former is None or not _is_same(former, own):
            return f"the weights of {name} are others"
    return ""


def _is_same(first: Sample, second: Sample) -> bool:
    if len(first.values) != len(second.values):
        return False
    if not first.is_fp8 and not second.is_fp8:
        return first.values == second.values
    return _is_close(first.values, second.values, roundings=first.is_fp8 + second.is_fp8)


def _is_close(first: Sequence[float], second: Sequence[float], *, roundings: int) -> bool:
    a, b = np.asarray(first), np.asarray(second)
    largest = np.maximum(np.abs(a), np.abs(b))
    allowed = roundings * (_FP8_ROUNDING * largest + _FP8_LEAST * largest.max(initial=0.0))
    return bool((np.abs(a - b) <= allowed).all())
