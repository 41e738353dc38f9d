"""Sizes, Macs and their work as bytes for weights."""

from __future__ import annotations

import argparse
import re

import pytest

from convert.budget.target import (
    TooSmallError,
    add_budget_arguments,
    budget_words,
    is_budget_asked,
    read_size,
    read_target,
)
from edge.errors import UsageError
from edge.plan.estimate import Task, estimate
from edge.plan.family import FAMILY
from edge.plan.machine import ON_METAL, parse_mac
from edge.plan.weights import recipe_bytes


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_budget_arguments(parser, what="format", such_as="a recipe")
    return parser.parse_args(words)


@pytest.mark.parametrize(("text", "size"), [("16.5GB", 16_500_000_000), ("900m", 900_000_000), ("1234567", 1_234_567)])
def test_sizes_are_decimal(text: str, size: int) -> None:
    assert read_size(text, FAMILY["2B"]) == size


def test_a_recipe_is_a_size_too() -> None:
    assert read_size("4bit", FAMILY["8B"]) == pytest.approx(recipe_bytes(FAMILY["8B"], "4bit"), rel=1e-4)


def test_a_recipe_is_named_in_any_case_and_other_names_are_counted_when_they_are_asked_for() -> None:
    config = FAMILY["2B"]
    assert read_size(" 4BIT ", config) == read_size("4bit", config)
    assert read_size("q4_k_m", config, sizes={"Q4_K_M": lambda: 7, "Q8_0": lambda: pytest.fail("not asked for")}) == 7


@pytest.mark.parametrize("text", ["16", " 5 ", "999999"])
def test_a_bare_number_that_holds_no_model_gets_the_unit_that_was_meant(text: str) -> None:
    with pytest.raises(UsageError, match=rf"bytes hold no model. Say {text.strip()}GB or"):
        read_size(text, FAMILY["2B"])


def test_what_is_refused_as_too_small_says_what_would_do() -> None:
    error = TooSmallError("formats", 9_417_123)
    size, mac = (read_target(parsed(*words), FAMILY["2B"]) for words in (["--size", "1MB"], ["--fit", "8 GB"]))
    assert str(size.refused(error)) == (
        "--size 1MB: the smallest formats of this model take 9.42 MB. Give at least that, or take a smaller model."
    )
    assert re.match(
        r"--fit '8 GB' leaves \d.\d\d GB: .* Take a smaller model, or more memory. So.",
        str(mac.refused(error, advice=" So.")),
    )


@pytest.mark.parametrize("text", ["", "0GB", "large", "4 bits", "-3GB", "1e400", "nan", "1,5GB", "3iB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected a size such as 16.5GB"):
        read_size(text, FAMILY["2B"])


@pytest.mark.parametrize("size", FAMILY)
@pytest.mark.parametrize("mac", ["16 GB", "24 GB", "32 GB"])
def test_a_mac_with_the_weights_and_the_work_is_just_full(size: str, mac: str) -> None:
    config = FAMILY[size]
    target = read_target(parsed("--fit", mac, "--kv-bits", "8"), config)
    found = estimate(config, Task(8192, 8, (1024, 1024)), weight_bytes=target.budget, precision=ON_METAL)
    assert found.peak_bytes == parse_mac(mac).usable_bytes


def test_more_work_leaves_less_for_weights() -> None:
    budgets = [
        read_target(parsed("--fit", "24 GB", *words), FAMILY["30B-A3B"]).budget
        for words in (["--image", "none"], [], ["--context", "65536"], ["--context", "65536", "--image", "4096x4096"])
    ]
    assert budgets == sorted(budgets, reverse=True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--fit", "a large one"], "expected a size of memory"),
        (["--fit", "8 GB", "--context", "262144"], "beside the weights"),
        (["--fit", "24 GB", "--context", "0"], "expected 1 to"),
        (["--fit", "24 GB", "--image", "wide"], "WIDTHxHEIGHT"),
    ],
)
def test_work_that_cannot_be_done_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_target(parsed(*words), FAMILY["30B-A3B"])


@pytest.mark.parametrize(
    ("words", "why"), [(["--size", "4bit", "--fit", "24 GB"], "two ways"), (["--image", "64x64"], "add --fit")]
)
def test_words_that_do_not_go_together_are_refused(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        is_budget_asked(parsed(*words))


def test_the_card_gets_the_words_of_the_command_line() -> None:
    assert budget_words(parsed("--fit", "24 GB", "--kv-bits", "8")) == ["--fit", "24 GB", "--kv-bits", "8"]
    assert budget_words(parsed()) == []
