"""docs/api.md says what the docstrings of the public names say."""

from __future__ import annotations

import re

import pytest

import edge
from tests import api_page
from tests.api_page import PAGE


def test_the_page_is_what_the_docstrings_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == api_page.api_page(), "run python -m tests.api_page"


def test_every_public_name_has_its_place() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [name for name in edge.__all__ if f"\n### {name}\n" not in page]


def test_a_public_name_without_a_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_page, "PARTS", api_page.PARTS[1:])
    with pytest.raises(ValueError, match=r"expected each public name in one part.*'load'"):
        api_page.api_page()


def test_each_task_leads_to_headings_of_the_page() -> None:
    page = api_page.api_page()
    headings = {line.lstrip("# ").lower().replace(".", "") for line in page.splitlines() if line.startswith("###")}
    assert not set(re.findall(r"\]\(#([^)]+)\)", page)) - headings
