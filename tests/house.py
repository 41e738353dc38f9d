"""Print the figures of the house: `python -m tests.house`.

Files and their lines, long functions, imports against the layers, modules without tests and public names without a
docstring, for the program, its converters, the tests and the examples. Rules that may not be broken are held by
tests/unit/test_architecture.py; this shows how far from them the code is.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.imports import ROOT, imports_of, module_name, read

PRODUCT = ("edge", "convert")
FOLDERS = (*PRODUCT, "tests", "examples")
LONG_LINES = 40
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method."""

    name: str
    num_lines: int


@dataclass(frozen=True, slots=True)
class File:
    """What one file is made of.

    Attributes:
        name: Its path from the root.
        folder: The first part of it.
        module: Its dotted name.
        num_lines: Of text.
        functions: All of them, inner ones too.
        imports: Modules that it imports, at any depth; of the program and its converters only.
    """

    name: str
    folder: str
    module: str
    num_lines: int
    functions: tuple[Function, ...]
    imports: frozenset[str]


def look(path: Path) -> File:
    """Read one file of this repository."""
    text = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text, filename=str(path))))
    functions = tuple(_function(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    name = path.relative_to(ROOT)
    return File(
        name=name.as_posix(),
        folder=name.parts[0],
        module=module_name(path),
        num_lines=text.count("\n"),
        functions=functions,
        imports=frozenset(imports_of(nodes) if name.parts[0] in PRODUCT else ()),
    )


def files(folders: Sequence[str] = FOLDERS) -> list[File]:
    """Read all files of some folders, in the order of their names."""
    return [look(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def undocumented(tree: ast.Module) -> list[str]:
    """Name the public functions, classes and methods of a file that have no docstring."""
    return [name for name, node in _public(tree.body, "") if not ast.get_docstring(node)]


def main() -> int:
    """Print a table, one column a folder, and the longest functions."""
    from tests.nearest import own_test, untested  # late: the tests of the rules need `files` alone
    from tests.unit.test_architecture import imports_from_above

    found = {folder: files([folder]) for folder in FOLDERS}
    product = [file for folder in PRODUCT for file in found[folder]]
    far = {str(path.relative_to(ROOT)) for path in untested()}

    def row(name: str, count: Callable[[list[File]], object], folders: Sequence[str] = FOLDERS) -> None:
        print(f"{name:42}" + "".join(f"{count(found[folder]):>10}" for folder in folders))

    print(" " * 42 + "".join(f"{folder:>10}" for folder in FOLDERS))
    row("files", len)
    row("lines, median", lambda some: round(statistics.median(file.num_lines for file in some)))
    row("lines, largest", lambda some: max(file.num_lines for file in some))
    row("lines, all", lambda some: sum(file.num_lines for file in some))
    row(f"functions over {LONG_LINES} lines", lambda some: len(_long(some)))
    row("longest function, lines", lambda some: max(f.num_lines for file in some for f in file.functions))
    row("imports from a higher layer", lambda some: sum(len(imports_from_above(file)) for file in some), PRODUCT)
    row("modules that no test reaches", lambda some: sum(file.name in far for file in some), PRODUCT)
    row(
        "modules without a test file of their name",
        lambda some: sum(not own_test(ROOT / file.name).is_file() for file in some if file.functions),
        PRODUCT,
    )
    row(
        "public names without docstring",
        lambda some: sum(len(undocumented(read(ROOT / file.name))) for file in some),
        PRODUCT,
    )
    for file, function in sorted(_long(product), key=lambda pair: -pair[1].num_lines)[:10]:
        print(f"{function.num_lines:4} lines: {function.name} in {file.name}")
    return 0


def _long(some: Sequence[File]) -> list[tuple[File, Function]]:
    return [(file, function) for file in some for function in file.functions if function.num_lines > LONG_LINES]


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    return Function(node.name, (node.end_lineno or 0) - node.lineno + 1)


def _public(body: Sequence[ast.stmt], outer: str) -> Iterator[tuple[str, Definition]]:
    """Yield public definitions of a module, and of its classes."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{outer}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{outer}{node.name}.")


if __name__ == "__main__":
    raise SystemExit(main())
