"""Costs from a calibration, from kind and place, and from both."""

from __future__ import annotations

import pytest

from convert.budget.sensitivity import usual_cost, weigh
from edge.checkpoint.names.hub import expected_parameters
from edge.plan.family import FAMILY
from edge.plan.recipes import is_matrix

Q = "language_model.model.layers.{}.self_attn.q_proj.weight"
EMBEDDING = "language_model.model.embed_tokens.weight"


class Known:
    """A calibration that knows some parameters."""

    def __init__(self, **found: float) -> None:
        self.found = found

    def fisher(self, tensor: str) -> float | None:
        return next((value for part, value in self.found.items() if part in tensor), None)


@pytest.mark.parametrize("size", FAMILY)
def test_every_matrix_of_every_published_model_has_a_kind(size: str) -> None:
    shapes = expected_parameters(FAMILY[size])
    assert all(usual_cost(name, FAMILY[size]) > 0 for name, shape in shapes.items() if is_matrix(name, shape))


def test_the_first_layer_weighs_most_and_the_last_least() -> None:
    config = FAMILY["30B-A3B"]
    costs = [usual_cost(Q.format(index), config) for index in range(config.text.num_layers)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 10 * costs[-1]


def test_fisher_weights_count_where_they_are_known() -> None:
    energies = {EMBEDDING: 100.0, Q.format(0): 10.0}
    costs = weigh(energies, FAMILY["2B"], Known(embed=0.02, q_proj=0.4))
    assert costs.is_measured
    assert costs.by_parameter == {EMBEDDING: 1.0, Q.format(0): 2.0}


def test_what_a_calibration_lacks_gets_its_usual_cost_at_the_same_scale() -> None:
    energies = {EMBEDDING: 100.0, Q.format(0): 10.0}
    costs = weigh(energies, FAMILY["2B"], Known(embed=0.02))
    ratio = usual_cost(Q.format(0), FAMILY["2B"]) / usual_cost(EMBEDDING, FAMILY["2B"])
    assert costs.by_parameter[Q.format(0)] == pytest.approx(ratio)
    assert "1 that it lacks" in costs.sentence


@pytest.mark.parametrize("weights", [None, Known()])
def test_without_fisher_weights_it_is_said(weights: Known | None) -> None:
    costs = weigh({EMBEDDING: 1.0}, FAMILY["2B"], weights)
    assert not costs.is_measured
    assert "calibration" in costs.sentence
