"""What a name on the command line of the plan weighs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.loading import demo_folder
from edge.plan.checkpoint import find_model
from edge.plan.recipes import RECIPES
from edge.plan.weights import recipe_bytes


def test_a_published_model_has_a_form_for_every_recipe() -> None:
    found = find_model("30b", itemsize=2)
    assert [variant.name for variant in found.variants] == list(RECIPES)
    assert found.images is None  # its files are not here to say


def test_files_are_there_in_one_form_as_they_are() -> None:
    found = find_model("demo", itemsize=2)
    assert [variant.name for variant in found.variants] == ["as it is"]
    assert found.images is not None


def test_floats_weigh_what_they_are_computed_in() -> None:
    half, whole = (find_model("demo", itemsize=size).variants[0].weight_bytes for size in (2, 4))
    assert whole == 2 * half


def test_a_recipe_of_files_is_counted_from_their_sizes() -> None:
    found = find_model("demo", itemsize=4, recipe="4bit")
    assert [variant.name for variant in found.variants] == ["4bit"]
    assert found.variants[0].weight_bytes == recipe_bytes(found.config, "4bit")


@pytest.mark.parametrize(
    ("name", "recipe", "said"),
    [("7b", None, "no such folder or file, and no published model"), ("30b", "1bit", "expected one of bf16, 8bit")],
)
def test_what_is_not_there_is_told_with_what_is(name: str, recipe: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_model(name, itemsize=2, recipe=recipe)


def test_a_folder_of_a_published_name_is_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("30b").symlink_to(demo_folder())
    assert [variant.name for variant in find_model("30b", itemsize=2).variants] == ["as it is"]
