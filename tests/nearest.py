"""Name the test files nearest to a module: `python -m tests.nearest edge/run/plan.py`.

A module has a test file of its own name where it can be tested alone; others are held by the tests of what uses them.
Nearest is who imports the module in the fewest steps. Tests that start programs as processes import nothing: those that
matter are named in the module's docstring (`Tested by tests/system/...`), the rest is found in tests/system by the
program's name.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.imports import ROOT, module_name, read, runtime_imports

SHOWN = 8
MOST_STEPS = 2
"""A test farther away from a module than this does not count as its own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the nearest test files of each module named, one a line, to be given to pytest."""
    given = sys.argv[1:] if argv is None else list(argv)
    if not given:
        print("tests.nearest: expected a module such as edge/run/plan.py, found none.", file=sys.stderr)
        return 2
    for name in given:
        path = (ROOT / name).resolve()
        if not path.is_file():
            print(f"tests.nearest: {name}: no such file. Name it from the repository's root.", file=sys.stderr)
            return 2
        found = nearest(path)
        for steps, test in found[:SHOWN]:
            print(f"{steps}  {test.relative_to(ROOT)}")
        if left := [test for steps, test in found[SHOWN:] if steps == 1]:
            print(f"and {len(left)} more that use it: {' '.join(str(test.relative_to(ROOT)) for test in left)}")
    return 0


def own_test(path: Path) -> Path:
    """Return where the test file of a module's own name would be."""
    parts = path.relative_to(ROOT).parts
    inner = parts if parts[0] == "convert" else parts[1:]
    return ROOT.joinpath("tests", "unit", *inner[:-1], f"test_{inner[-1]}")


def untested() -> list[Path]:
    """Return the modules with functions that no test holds: none has their name, and none is near."""
    found = [path for half in ("edge", "convert") for path in sorted((ROOT / half).rglob("*.py"))]
    asked = [path for path in found if not path.stem.startswith("__") and not own_test(path).is_file()]
    return [path for path in asked if _has_behaviour(path) and not nearest(path, most_steps=MOST_STEPS)]


def _has_behaviour(path: Path) -> bool:
    """Tell whether a module has functions; types and texts alone have nothing to test."""
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(read(path)))


def named_tests(path: Path) -> list[Path]:
    """Return the test files that a module's docstring names."""
    return [ROOT / name for name in re.findall(r"tests/[\w/]+\.py", ast.get_docstring(read(path)) or "")]


def nearest(path: Path, *, most_steps: int = 99) -> list[tuple[int, Path]]:
    """Find test files that reach a module through imports, with the number of steps; its own test file, and those
    that its docstring names, are step 0.

    Args:
        path: The module.
        most_steps: Where to stop looking.
    """
    importers, steps, outer, count = _importers(), {module_name(path): 0}, {module_name(path)}, 0
    while outer and count < most_steps:
        count += 1
        users = {user for name in outer for user in importers[name] if user not in steps}
        outer = users - {"edge", "convert"}  # these two hand on the names of all others
        steps |= dict.fromkeys(outer, count)
    found = {ROOT.joinpath(*name.split(".")).with_suffix(".py"): count for name, count in steps.items()}
    tests = {file: count for file, count in found.items() if file.name.startswith("test_")}
    tests |= {file: 0 for file in (*named_tests(path), own_test(path)) if file.is_file()}
    return sorted((count, file) for file, count in tests.items())


@functools.cache
def _importers() -> defaultdict[str, set[str]]:
    """Return who imports each module, tests included."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in (path for folder in ("edge", "convert", "tests") for path in (ROOT / folder).rglob("*.py")):
        for name in runtime_imports(read(path)):
            found[name].add(module_name(path))
    return found


if __name__ == "__main__":
    sys.exit(main())
