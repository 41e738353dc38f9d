"""Random models: every weight drawn from its name, packed."""

from __future__ import annotations

from itertools import pairwise

import mlx.core as mx
import numpy as np

from edge.bench.device_check import check_config
from edge.bench.random_model import random_model, random_parameters, with_layers
from edge.bench.runners import OurRunner, Runner, decode_s

CONFIG = check_config(2)


def test_the_same_numbers_come_again_and_no_two_weights_are_alike() -> None:
    one, again = (dict(random_parameters(CONFIG, dtype=mx.float32)) for _ in range(2))
    assert all(mx.array_equal(one[name], again[name]) for name in one)
    packed = [array for name, array in one.items() if name.endswith("q_proj.weight")]
    assert len(packed) == 2
    assert not any(mx.array_equal(a, b) for a, b in pairwise(packed))


def test_a_slice_has_its_layers_and_no_levels_past_them() -> None:
    found = with_layers(check_config(is_large=True), 2)
    assert (found.text.num_layers, len(found.vision.deepstack_indexes)) == (2, 2)
    assert check_config(is_large=True).text.num_layers == 48


def test_the_model_answers_with_numbers_and_goes_on() -> None:
    runner = OurRunner(random_model(CONFIG, dtype=mx.float32))
    first = greedy(runner, 4)
    assert first == greedy(runner, 4)
    assert len(set(first)) > 1
    assert decode_s(runner, 2) > 0


def greedy(runner: Runner, count: int) -> list[int]:
    runner.start()
    token = runner.forward(mx.array(np.arange(9, dtype=np.int32)[None]))
    found = []
    for _ in range(count):
        found.append(int(np.array(token)[0]))
        token = runner.forward(token[None])
    return found
