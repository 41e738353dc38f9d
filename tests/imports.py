"""Read which modules of this repository a file imports, at once, inside functions, or for type checkers only."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def module_name(path: Path) -> str:
    """Return the dotted name of a file of this repository; a package is its `__init__.py`."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(node: ast.AST) -> Iterator[str]:
    """Yield each module an import names, at any depth; `from a import b` is a.b where that is a module."""
    yield from imports_of(ast.walk(node))


def imports_of(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield each module that the import statements among some nodes name, as `imports` does."""
    for child in nodes:
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"relative import of {child.module}: name the module in full"
            base = child.module or ""
            for alias in child.names:
                full = f"{base}.{alias.name}"
                yield full if _is_module(full) else base


def runtime_imports(tree: ast.Module) -> set[str]:
    """Return what a module imports, at once or inside a function; not what only type checkers read."""
    kept = [node for node in tree.body if not _is_type_checking(node)]
    return {name for node in kept for name in imports(node)}


@cache
def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
