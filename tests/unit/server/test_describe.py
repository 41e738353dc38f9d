from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from edge.errors import RequestError
from edge.run.sample import SAMPLING_BOUNDS, SamplingParams
from edge.server.describe import sampling

NAMES = sorted(SAMPLING_BOUNDS.keys() - {"logit_bias"})


def takes(name: str, value: Any) -> bool:
    try:
        SamplingParams(**{name: value})
    except RequestError:
        return False
    return True


def around(name: str) -> Iterator[Any]:
    bounds = SAMPLING_BOUNDS[name]
    step: Any = 1 if bounds.is_whole else 1e-9
    for edge in (bounds.low, min(bounds.high, 1e6)):
        yield from ((int(edge) if bounds.is_whole else edge) + sign * step for sign in (-1, 0, 1))
    yield from (0.5, "1")


@pytest.mark.parametrize("name", NAMES)
def test_the_document_takes_what_the_engine_takes_and_nothing_else(name: str) -> None:
    validator = jsonschema.Draft202012Validator(sampling(name))
    for value in around(name):
        assert validator.is_valid(value) == takes(name, value), value


def test_a_protocol_may_give_a_lower_number_a_meaning() -> None:
    validator = jsonschema.Draft202012Validator(sampling("top_k", low=-1))
    assert [validator.is_valid(value) for value in (-2, -1, 0)] == [False, True, True]
    validator = jsonschema.Draft202012Validator(sampling("top_p", low=0))
    assert [validator.is_valid(value) for value in (-0.1, 0, 1, 1.1)] == [False, True, True, False]
