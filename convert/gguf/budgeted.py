"""Choose the block type of every matrix of a text file under a budget of bytes; all of them are llama.cpp's own.

In: what the user wants, the model, its weights where they are at hand, and how much each matrix matters. Out: types by
tensor name. An importance file lowers the error of types of 3 bits and below and hardly of any above, so that the one
of a calibration is used for those alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

import mlx.core as mx
import numpy as np

from convert.budget.errors import Sampled, Samples
from convert.budget.sensitivity import Costs, Weights, weigh
from convert.budget.solve import Option, Solution, Unit, least_bytes, solve
from convert.budget.target import TooSmallError
from convert.disk import describe_bytes
from convert.gguf.encode import Floats, encode_rows
from convert.gguf.imatrix import Importance
from convert.gguf.layout import TensorPlan
from convert.gguf.plan import NO_IMPORTANCE, Wanted, make_plan, plan_tensors
from convert.gguf.types import FILE_TYPES, FileType
from edge.checkpoint.folder import Checkpoint
from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.ggml.types import TYPES, BlockType
from edge.checkpoint.names.gguf import text_table
from edge.checkpoint.names.ops import Shape
from edge.config import ModelConfig

OFFERED = ("Q3_K", "IQ3_S", "IQ4_XS", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "BF16")  # for rows of whole blocks of 256
OFFERED_SHORT = ("IQ4_NL", "Q5_0", "Q5_1", "Q8_0", "BF16")  # for other rows
HELPED = frozenset({"Q2_K", "Q3_K", "IQ3_S"})  # by importance
_PADDING = 32  # at most, behind each tensor
METADATA_BYTES = 8_000_000  # of both files where there is none: the published vocabulary takes 5.9 MB


@dataclass(frozen=True, slots=True)
class BudgetedTypes:
    """What a budget came to: what to write, and what is expected of it."""

    wanted: Wanted
    costs: Costs
    solution: Solution[str]
    is_measured: bool

    def lines(self, words: str, budget: int) -> list[str]:
        """Say what was decided and on what grounds."""
        counts = Counter(option.key for option in self.solution.chosen)
        errors = "measured on rows of each matrix" if self.is_measured else "modelled, as no weights were at hand"
        lines = [
            f"{words}: {describe_bytes(budget)} for all files. {self.costs.sentence} Errors of each type are {errors}.",
            f"Types: {', '.join(f'{count} {name}' for name, count in counts.most_common())}.",
        ]
        if self.costs.is_measured and self.is_measured:
            lines.append(
                f"Predicted KL of small errors: {self.solution.loss:.4f} nats per token; no choice of these types "
                f"under this budget is predicted below {self.solution.bound:.4f}."
            )
        return lines


def choose_types(
    checkpoint: Checkpoint,
    wanted: Wanted,
    *,
    budget: int,
    weights: Weights | None = None,
    importance: Importance = NO_IMPORTANCE,
    has_weights: bool = True,
) -> BudgetedTypes:
    """Choose types so that all files of a plan take at most `budget` bytes.

    Args:
        checkpoint: The source.
        wanted: The files; the projector keeps its type.
        budget: Bytes of the text file and the projector.
        weights: The calibration.
        importance: Weights of inputs by tensor, for types of 3 bits and below.
        has_weights: Whether the source's weights can be read.

    Raises:
        TooSmallError: The smallest types take more.
        WeightError: A file is damaged.
    """
    plan = make_plan(checkpoint, replace(wanted, file_type=FILE_TYPES["Q8_0"]))
    tensors = {place.tensor.name: place.tensor for places in plan.places.values() for place in places}
    return _choose(
        checkpoint.config,
        wanted,
        tensors,
        beside=sum(file.num_bytes for file in plan.files) - sum(tensor.num_bytes for tensor in tensors.values()),
        budget=budget,
        samples=Samples(checkpoint) if has_weights else None,
        weights=weights,
        importance=importance,
    )


def choose_types_from_shapes(config: ModelConfig, wanted: Wanted, *, budget: int) -> BudgetedTypes:
    """Choose types for a model without a file: errors are those of normally distributed numbers.

    Args:
        config: The model.
        wanted: The files; the projector keeps its type.
        budget: Bytes of them; vocabulary and settings count as `METADATA_BYTES`.

    Raises:
        TooSmallError: The smallest types take more.
    """
    plans = plan_tensors(config, FILE_TYPES["Q8_0"], wanted.projector_type)
    tensors = {plan.name: plan for plan in plans}
    return _choose(config, wanted, tensors, beside=METADATA_BYTES, budget=budget)


def _choose(
    config: ModelConfig,
    wanted: Wanted,
    tensors: Mapping[str, TensorPlan],
    *,
    beside: int,
    budget: int,
    samples: Samples | None = None,
    weights: Weights | None = None,
    importance: Importance = NO_IMPORTANCE,
) -> BudgetedTypes:
    """Choose types; `beside` counts the files' bytes that are no tensor's."""
    table = text_table(config)
    parameters = {rule.sources[0]: rule.targets[0].name for rule in table.rules if len(rule.sources) == 1}
    matrices = {name: tensors[name].shape for name in parameters if not tensors[name].type.is_float}
    taken = {name: _sample(samples, parameters[name], shape) for name, shape in matrices.items()}
    energies = {parameters[name]: taken[name].mean_square * prod(shape) for name, shape in matrices.items()}
    costs = weigh(energies, config, weights if samples is not None else None)
    units = [
        _unit(name, shape, taken[name], cost=costs.by_parameter[parameters[name]], importance=importance.get(name))
        for name, shape in matrices.items()
    ]
    fixed = beside + sum(tensor.num_bytes for name, tensor in tensors.items() if name not in matrices)
    free = budget - fixed - _PADDING * len(units)
    if least_bytes(units) > free:
        raise TooSmallError("types", least_bytes(units) + budget - free)
    solution = solve(units, budget=free)
    types = {unit.name: TYPES[option.key] for unit, option in zip(units, solution.chosen, strict=True)}
    found = replace(wanted, types=types, file_type=nearest_type(types, matrices))
    return BudgetedTypes(found, costs, solution, samples is not None)


def nearest_type(types: Mapping[str, BlockType], shapes: Mapping[str, Shape]) -> FileType:
    """Find the file type to write down for a mixture: the plainest one of the type that most numbers have."""
    numbers: Counter[str] = Counter()
    for name, kind in types.items():
        numbers[kind.name] += prod(shapes[name])
    most = numbers.most_common(1)[0][0]
    fitting = [kind for kind in FILE_TYPES.values() if kind.base == most]
    return min(fitting, key=lambda kind: len(kind.choices))


def helped(importance: Importance, types: Mapping[str, BlockType]) -> Importance:
    """Keep the importance of the tensors whose type it helps."""
    return {name: values for name, values in importance.items() if name in types and types[name].name in HELPED}


def type_error(sampled: Sampled, kind: BlockType, importance: Floats | None = None) -> float:
    """Return the relative squared error of a block type.

    Args:
        sampled: Rows of whole blocks.
        kind: The type.
        importance: One weight for each number of a row.
    """
    assert sampled.rows is not None, "rows of normally distributed numbers stand in where there are none"
    rows = np.array(sampled.rows, np.float32)
    raw = np.frombuffer(encode_rows(rows, kind, importance=importance), np.uint8).reshape(len(rows), -1)
    found = np.asarray(decode(raw, kind), np.float32).reshape(rows.shape)
    weight = np.ones(rows.shape[-1], np.float32) if importance is None else importance
    return float((np.square(found - rows) * weight).sum() / (np.square(rows) * weight).sum())


def _unit(name: str, shape: Shape, sampled: Sampled, *, cost: float, importance: Floats | None) -> Unit[str]:
    is_whole = TYPES["Q4_K"].fits(shape[-1])
    by_row = None if importance is None else importance.reshape(-1, shape[-1]).mean(axis=0)
    options = []
    for kind in (TYPES[offered] for offered in (OFFERED if is_whole else OFFERED_SHORT)):
        if kind.fits(shape[-1]):
            weights = by_row if kind.name in HELPED else None
            if kind.is_float:
                error = 0.0
            elif weights is None and sampled is _normal(shape[-1]):
                error = _normal_error(shape[-1], kind.name)
            else:
                error = type_error(sampled, kind, weights)
            options.append(Option(kind.name, kind.num_bytes(prod(shape)), cost * error))
    return Unit(name, tuple(options))


def _sample(samples: Samples | None, parameter: str, shape: Shape) -> Sampled:
    """Take rows of a parameter; normally distributed numbers where there are none, or zeros alone."""
    found = None if samples is None else samples.take(parameter)
    return _normal(shape[-1]) if found is None or found.rows is None else found


@lru_cache(maxsize=64)
def _normal(num_inputs: int) -> Sampled:
    rows = mx.random.normal((max(4, 2**14 // num_inputs), num_inputs), key=mx.random.key(7))
    return Sampled(rows, float(mx.square(rows).mean()))


@lru_cache(maxsize=256)
def _normal_error(num_inputs: int, name: str) -> float:
    return type_error(_normal(num_inputs), TYPES[name])
