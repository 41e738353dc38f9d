"""The programs of examples/ print what their docstrings show, and an app outside the checkout is type-checked.

They run in this process: a second start of Python and a second import for each would cost more than their work.
"""

from __future__ import annotations

import ast
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from contextlib import chdir
from functools import partial
from pathlib import Path

import pytest

import edge
from tests.system.in_process import run_here

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [
    *("at_once", "boxes", "cancel", "captions", "failures", "moment", "receipt", "saved_talk", "tool_loop", "two_turns")
]
MAX_LINES = 60


def source(name: str) -> str:
    return (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")


def run_program(path: str) -> None:
    runpy.run_path(path, run_name="__main__")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_program_prints_what_its_docstring_shows(name: str, tmp_path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(source(name))) or ""
    shown = re.findall(r"^\$ python ([^\n]*)\n((?:(?!\$ ).*\n?)+)", docstring, re.MULTILINE)
    assert shown, "the docstring shows no output"
    for command, output in shown:  # those of one program run in one folder, one after the other
        arguments = [str(ROOT / part) if part.startswith("examples/") else part for part in shlex.split(command)]
        program = partial(run_program, arguments[0])
        with chdir(tmp_path):
            done = run_here(program, words=arguments[1:], environment={})
        assert (done.code, done.err) == (0, "")
        assert done.out.split() == output.split()  # long lines are broken in the docstring


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_program_is_short_and_uses_public_names_only(name: str) -> None:
    assert source(name).count("\n") <= MAX_LINES
    tree = ast.parse(source(name))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {module for module in modules if module and module.startswith(("edge.", "convert", "examples"))}
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    assert {node.attr for node in used if isinstance(node.value, ast.Name) and node.value.id == "edge"} <= {
        *edge.__all__
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with this project installed as the README says, and the packages of this one beside it."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    # A path in a .pth file is searched, but .pth files in it are not read: an editable install there is not seen.
    Path(site, "outer.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(ROOT)]
    subprocess.run(
        [python, *install], check=True, env={**clean_environment(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}, cwd=folder
    )
    return python


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}


def check_types(python: Path, folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run mypy, strict; what it found out about the packages in the checkout before spares most of the time."""
    kept, cache = ROOT / ".mypy_cache", python.parent / "cache"
    if kept.is_dir():
        shutil.copytree(kept, cache)
    mypy = ["-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--python-executable", str(python)]
    return subprocess.run(
        [python, *mypy, "--cache-dir", str(cache), *files],
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean_environment(),
        timeout=600,
    )


@pytest.mark.slow
def test_the_programs_pass_mypy_strict_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    for name in EXAMPLES:
        (tmp_path / f"{name}.py").write_text(source(name), encoding="utf-8")
    (tmp_path / "wrong.py").write_text(
        "import edge\n\nwidth: str = edge.load().ask('hi').usage.prompt_tokens\n", "utf-8"
    )
    done = check_types(installed, tmp_path, "wrong.py", *(f"{name}.py" for name in EXAMPLES))
    error, *rest = done.stdout.splitlines()
    assert error.startswith("wrong.py:3: error: Incompatible types in assignment"), done.stdout + done.stderr
    assert 'expression has type "int", variable has type "str"' in error
    assert [line.split(" (")[0] for line in rest] == ["Found 1 error in 1 file"]
