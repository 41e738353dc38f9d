"""The tree of docs/architecture.md is the tree there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture_tree import BEGIN, END, PAGE, modules, page_with_tree, tree


def test_the_page_lists_every_module_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_tree(page), "run python -m tests.architecture_tree"


def test_every_line_is_one_module() -> None:
    lines = tree().splitlines()
    assert len(lines) == len(modules())
    assert max(map(len, lines)) <= 150


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name in ("edge/__init__.py", "edge/run/__init__.py", "edge/run/loop.py", "edge/zoo.py", "convert/__init__.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""Does {path.parent.name} {path.stem}.\n\nMore."""\n', encoding="utf-8")
    return tmp_path


def test_modules_come_before_folders_and_packages_are_folders(house: Path) -> None:
    assert [" ".join(line.split()) for line in tree(house).splitlines()] == [
        "edge/ Does edge __init__.",
        "zoo.py Does edge zoo.",
        "run/ Does run __init__.",
        "loop.py Does run loop.",
        "convert/ Does convert __init__.",
    ]


def test_a_module_that_comes_or_goes_changes_the_page(house: Path) -> None:
    page = page_with_tree(f"a\n{BEGIN}\n{END}\nb\n", house)
    assert page == page_with_tree(page, house)
    (house / "edge" / "new.py").write_text('"""New."""\n', encoding="utf-8")
    assert page != page_with_tree(page, house)


def test_a_module_without_a_docstring_is_named(house: Path) -> None:
    (house / "edge" / "new.py").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match=r"new\.py: expected a docstring"):
        tree(house)


def test_a_page_without_marks_is_refused(house: Path) -> None:
    with pytest.raises(ValueError, match="expected one line"):
        page_with_tree("no marks", house)
