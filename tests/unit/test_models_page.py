"""The table of docs/models.md is what the plan's rules give."""

from __future__ import annotations

import pytest

from edge.plan.family import FAMILY
from edge.plan.recipes import RECIPES
from tests.models_page import PAGE, models_table, page_with_table


def test_the_page_has_the_table_of_the_day() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run python -m tests.models_page"


def test_every_model_stands_there_in_every_recipe() -> None:
    assert len(models_table().splitlines()) == 2 + len(FAMILY) * len(RECIPES)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one line"):
        page_with_table("no marks")
