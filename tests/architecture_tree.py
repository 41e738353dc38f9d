"""Write the tree of docs/architecture.md from the first line of each module's docstring.

    python -m tests.architecture_tree

It is run again whenever a file comes, goes or changes its idea; tests/unit/test_architecture_tree.py tells when.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tree: begin, written by `python -m tests.architecture_tree` -->", "<!-- tree: end -->"
HALVES = ("edge", "convert")
COLUMN = 28


def modules(root: Path = ROOT) -> list[Path]:
    """Return the files of both halves, packages before their modules, in the order of their names."""
    found = [path.relative_to(root) for half in HALVES for path in (root / half).rglob("*.py")]
    return sorted(found, key=lambda path: (HALVES.index(path.parts[0]), _order(path)))


def summary(path: Path) -> str:
    """Return the first paragraph of a module's docstring, which is one sentence.

    Raises:
        ValueError: It has none.
    """
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path}: expected a docstring that says what the module is for, found none. Write one.")
    return docstring.split("\n\n")[0].replace("\n", " ")


def tree(root: Path = ROOT) -> str:
    """Return the tree, a line a file; packages are their folder's line."""
    lines = []
    for path in modules(root):
        depth = len(path.parts) - 1
        name, depth = (f"{path.parts[-2]}/", depth - 1) if path.name == "__init__.py" else (path.name, depth)
        head = f"{'  ' * depth}{name}".ljust(COLUMN)
        lines.append(head + summary(root / path))
    return "\n".join(lines)


def page_with_tree(page: str, root: Path = ROOT) -> str:
    """Return the page with the tree of the day between its two marks.

    Raises:
        ValueError: A mark is missing.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{PAGE}: expected one line {BEGIN!r} and one {END!r}. Put them back.")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    return f"{before}{BEGIN}\n```\n{tree(root)}\n```\n{END}{after}"


def _order(path: Path) -> tuple[tuple[int, str], ...]:
    """Put a folder's own modules before its folders, and `__init__.py` first of all."""
    folders = [(1, part) for part in path.parts[:-1]]
    return (*folders, (-1 if path.name == "__init__.py" else 0, path.name))


if __name__ == "__main__":
    PAGE.write_text(page_with_tree(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
