"""What is imported is declared, in the core or in the extra that serves it; what the core declares is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Where the module of a package is called otherwise; others are called like their package.
MODULES = {
    "huggingface-hub": "huggingface_hub",
    "markdown-it-py": "markdown_it",
    "pillow": "PIL",
    "textual-image": "textual_image",
}
# Only a folder or file named here may import from an extra; all else has to run with the core alone.
EXTRAS = {
    "video": ("edge/prompt/media/video_file.py",),
    "pdf": ("edge/prompt/media/pdf.py",),
    "mcp": ("edge/tools/server.py",),
    "terminal": ("edge/inline.py",),
    "server": ("edge/server",),
    "draft": ("edge/run/text_draft.py", "edge/bench/peer_models.py", "edge/bench/runners.py"),
    "compare": ("edge/bench/peer_models.py", "edge/bench/runners.py"),
    "quick": ("convert/gguf/quick_search.py",),
    "reference": ("convert/verify", "convert/calibration/vision.py"),
}


def _names(requirements: list[str]) -> set[str]:
    """Return the modules that requirements bring."""
    found = [re.split(r"[\[<>=;\s]", requirement)[0] for requirement in requirements]
    return {MODULES.get(name, name.replace("-", "_")) for name in found}


@cache
def _uses() -> list[tuple[str, str]]:
    """Return each file of the product with each module of others that it imports."""
    return list(_imports())


def _imports() -> Iterator[tuple[str, str]]:
    for path in sorted(path for half in ("edge", "convert") for path in (ROOT / half).rglob("*.py")):
        for module in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            if module not in sys.stdlib_module_names and module not in ("edge", "convert"):
                yield path.relative_to(ROOT).as_posix(), module


def _imported(tree: ast.Module) -> set[str]:
    """Return the first part of each name that is imported, by a statement or by a call with the name as text."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {str(word.value) for word in node.args if isinstance(word, ast.Constant)}
    return {name.split(".")[0] for name in found}


CORE = _names(PROJECT["dependencies"])


def _undeclared(uses: list[tuple[str, str]]) -> list[tuple[str, str]]:
    allowed: defaultdict[str, list[str]] = defaultdict(list)
    for extra, places in EXTRAS.items():
        for module in _names(PROJECT["optional-dependencies"].get(extra, [])):
            allowed[module] += places
    return [
        (path, module)
        for path, module in uses
        if module not in CORE and not any(path == place or path.startswith(f"{place}/") for place in allowed[module])
    ]


def test_what_is_imported_is_declared_where_it_is_needed() -> None:
    assert _undeclared(_uses()) == []


def test_an_import_that_nobody_declared_and_an_extra_in_the_wrong_place_are_seen() -> None:
    wrong = [("edge/run/loop.py", "mlx_lm"), ("edge/run/loop.py", "torch")]
    assert _undeclared(wrong) == wrong


def test_what_the_core_declares_is_imported() -> None:
    assert CORE - {module for _, module in _uses()} == set()


def test_the_names_of_packages_lead_to_their_modules() -> None:
    homes = packages_distributions()
    assert [name for name in CORE if name not in homes] == []
