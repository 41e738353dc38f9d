"""What a calibration takes is said before it begins, and refused where it does not fit."""

from __future__ import annotations

import pytest

from convert.calibration.plan import RunPlan, plan_run
from edge.errors import MemoryPlanError
from edge.plan.family import FAMILY
from tests.unit.convert.calibration.calibrating import text_samples

PLAN = RunPlan(memory_bytes=4_000_000_000, final_bytes=18_000_000_000, disk_bytes=22_000_000_000)


def test_all_three_sizes_are_said() -> None:
    assert PLAN.sentence == "at most 4.00 GB of memory; 22.00 GB of disk on the way, 18.00 GB in the end"


def test_what_fits_exactly_is_taken_and_one_byte_less_is_refused() -> None:
    PLAN.check(PLAN.memory_bytes)
    with pytest.raises(MemoryPlanError, match=r"needs 4\.0 GB of memory, 4\.0 GB are free"):
        PLAN.check(PLAN.memory_bytes - 1)


def test_more_tokens_and_fisher_weights_take_more() -> None:
    config = FAMILY["2B"]
    few, many = text_samples(count=2), text_samples(count=2, length=400)
    assert plan_run(config, many, fisher_tokens=0).disk_bytes > plan_run(config, few, fisher_tokens=0).disk_bytes
    with_fisher = plan_run(config, few, fisher_tokens=few.num_tokens)
    assert with_fisher.disk_bytes > plan_run(config, few, fisher_tokens=0).disk_bytes
