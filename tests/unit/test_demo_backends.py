"""The runtime as a backend of the demo's evaluation: what it writes is what the checks read."""

from __future__ import annotations

import pytest

from edge.loading import demo_folder
from examples.demo_model.edge_backend import EdgeBackend
from examples.demo_model.held_out import cases


@pytest.fixture(scope="module")
def backend() -> EdgeBackend:
    return EdgeBackend(demo_folder())


@pytest.mark.parametrize("task", ["describe", "tool", "tool_result"])
def test_a_held_out_question_is_answered_and_found_right(backend: EdgeBackend, task: str) -> None:
    (case,) = cases(task, 1)
    thought, answer = backend.answer(case)
    assert thought
    assert case.check(answer)
