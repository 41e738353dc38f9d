"""Match tensors of a file with parameters of the model through a table of rules.

A rule says which source tensors become which targets, and the operations between. A table is complete:
every source tensor belongs to one rule or one listed drop, every target is filled once, shapes are checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import mlx.core as mx

from edge.checkpoint.names.ops import Op, Shape, Shapes
from edge.errors import WeightError
from edge.records import dataclass

# "float" takes any float dtype (the loader casts it to the compute type), the others only themselves.
StoredAs = Literal["float", "U32", "U8"]
FLOAT_DTYPES = ("F32", "F16", "BF16", "F64")


class StoredTensor(Protocol):
    """What matching needs to know of a source tensor."""

    @property
    def dtype(self) -> str:
        """Safetensors name of the dtype, such as `BF16`."""
        ...

    @property
    def shape(self) -> Shape:
        """The shape as stored."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """One parameter of the model: path, shape, and how it is kept."""

    name: str
    shape: Shape
    stored_as: StoredAs = "float"


@dataclass(frozen=True, slots=True)
class Rule:
    """How some source tensors become some targets. Without operations it is a renaming."""

    sources: tuple[str, ...]
    targets: tuple[Target, ...]
    ops: tuple[Op, ...] = ()
    source_dtypes: tuple[str, ...] = ()  # one per source, "float" for any float; empty: what the target takes

    def source_shapes(self) -> Shapes:
        """Return the shapes that the sources must have."""
        shapes: Shapes = tuple(target.shape for target in self.targets)
        for op in reversed(self.ops):
            shapes = op.source_shapes(shapes)
        return shapes

    def apply(self, sources: Sequence[mx.array]) -> dict[str, mx.array]:
        """Turn the source arrays, in the order of `sources`, into named targets."""
        arrays = tuple(sources)
        for op in self.ops:
            arrays = op.apply(arrays)
        for target, array in zip(self.targets, arrays, strict=True):
            assert array.shape == target.shape, f"{target.name}: rule gave {array.shape}, not {target.shape}"
        return dict(zip((target.name for target in self.targets), self._laid_out(arrays), strict=True))

    def inverse(self, targets: Sequence[mx.array]) -> dict[str, mx.array]:
        """Turn the target arrays, in the order of `targets`, back into named sources."""
        arrays = tuple(targets)
        for op in reversed(self.ops):
            arrays = op.inverse(arrays)
        return dict(zip(self.sources, self._laid_out(arrays), strict=True))

    def _laid_out(self, arrays: tuple[mx.array, ...]) -> tuple[mx.array, ...]:
        return tuple(mx.contiguous(array) for array in arrays) if self.ops else arrays


@dataclass(frozen=True, slots=True)
class Drop:
    """Source tensors that are left out on purpose: a regular expression for the whole name, and why."""

    pattern: str
    reason: str


@dataclass(frozen=True, slots=True)
class Match:
    """The outcome of holding a table against stored tensors. Fits when the last three are empty."""

    dropped: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: Mapping[str, str]

    @property
    def fits(self) -> bool:
        """Tell whether every tensor has its place."""
        return not (self.missing or self.unexpected or self.mismatched)


@dataclass(frozen=True, slots=True)
class Table:
    """Rules and drops for one checkpoint."""

    rules: tuple[Rule, ...]
    drops: tuple[Drop, ...] = ()

    def __post_init__(self) -> None:
        sources = [name for rule in self.rules for name in rule.sources]
        targets = [target.name for rule in self.rules for target in rule.targets]
        assert len(set(sources)) == len(sources), "a source tensor is in two rules"
        assert len(set(targets)) == len(targets), "a target is filled by two rules"

    def targets(self) -> dict[str, Target]:
        """Return every parameter the table fills, by name."""
        return {target.name: target for rule in self.rules for target in rule.targets}

    def source_shapes(self) -> dict[str, Shape]:
        """Return name and shape of every source tensor the table wants."""
        return {
            name: shape for rule in self.rules for name, shape in zip(rule.sources, rule.source_shapes(), strict=True)
        }

    def match(self, stored: Mapping[str, StoredTensor]) -> Match:
        """Hold the table against stored tensors in both directions."""
        wanted = self.source_shapes()
        extra = [name for name in stored if name not in wanted]
        dropped = {name: reason for name in extra if (reason := self._drop_reason(name)) is not None}
        mismatched = {}
        for rule in self.rules:
            for index, name in enumerate(rule.sources):
                if name in stored and (problem := _mismatch(rule, index, wanted[name], stored[name])):
                    mismatched[name] = problem
        return Match(
            dropped=dropped,
            missing=tuple(name for name in wanted if name not in stored),
            unexpected=tuple(name for name in extra if name not in dropped),
            mismatched=mismatched,
        )

    def plan(self, stored: Mapping[str, StoredTensor], *, where: str) -> tuple[Rule, ...]:
        """Return the rules to run, after checking that they fit the stored tensors.

        Args:
            stored: Source tensors by name.
            where: The folder or file, for messages.

        Raises:
            WeightError: A tensor is missing, unknown, or has the wrong shape or dtype.
        """
        match = self.match(stored)
        if not match.fits:
            raise WeightError(f"{where}: {describe_match(match)}")
        return self.rules

    def _drop_reason(self, name: str) -> str | None:
        return next((drop.reason for drop in self.drops if re.fullmatch(drop.pattern, name)), None)


def describe_match(match: Match) -> str:
    """Say in one line why stored tensors do not fit, and what to do."""
    if match.mismatched:
        name, problem = next(iter(match.mismatched.items()))
        more = len(match.mismatched) - 1
        return (
            f"{name} {problem}{f' ({more} more differ)' if more else ''}. "
            "config.json and the weights must be of the same model; download both again."
        )
    if match.missing and match.unexpected:
        return (
            f"expected {summarize_names(match.missing, limit=3)}; found instead "
            f"{summarize_names(match.unexpected, limit=3)}. "
            "The weights are of another model than config.json; choose a folder where both belong together."
        )
    if match.missing:
        return (
            f"expected {summarize_names(match.missing)}, not found in the weights. "
            "Download the folder again, or choose a complete conversion."
        )
    return (
        f"found tensors that do not belong to the model in config.json: {summarize_names(match.unexpected)}. "
        "Remove foreign .safetensors files, or choose the folder's own config.json."
    )


def summarize_names(names: Sequence[str], *, limit: int = 6) -> str:
    """Write many tensor names in one line: layers of one kind together, at most `limit` kinds, and the count."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(re.sub(r"\.\d+\.", ".N.", name), []).append(name)
    shown = [members[0] if len(members) == 1 else f"{kind} ({len(members)} times)" for kind, members in kinds.items()]
    rest = f" and {len(shown) - limit} more kinds" if len(shown) > limit else ""
    noun = "tensor" if len(names) == 1 else "tensors"
    return f"{len(names)} {noun}: {', '.join(shown[:limit])}{rest}"


def _mismatch(rule: Rule, index: int, shape: Shape, stored: StoredTensor) -> str | None:
    if tuple(stored.shape) != shape:
        return f"should have shape {list(shape)}, found {list(stored.shape)}"
    wanted = rule.source_dtypes[index] if rule.source_dtypes else rule.targets[0].stored_as
    allowed = FLOAT_DTYPES if wanted == "float" else (wanted,)
    if stored.dtype not in allowed:
        return f"should be stored as {' or '.join(allowed)}, found {stored.dtype}"
    return None
