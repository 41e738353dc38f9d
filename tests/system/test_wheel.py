"""The wheel holds what it needs: its programs answer from another folder, and its types are found."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLLOWED = ("edge", "edge.answer")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from a copy of what is in the repository, without asking for anything."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("edge", "convert", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source]
    subprocess.run([sys.executable, *map(str, words)], check=True, timeout=300)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    subprocess.run([sys.executable, *words], check=True, timeout=300)
    return folder


@pytest.mark.slow
def test_every_data_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    files = [path for half in ("edge", "convert") for path in (ROOT / half).rglob("*") if path.is_file()]
    wanted = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert wanted - held == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "said"),
    [
        (["bin/edge", "--version"], "qwen3vl-edge "),
        (["bin/edge", "chat", "--image", str(ROOT / "examples/images/sign.png"), "What is written here?"], "APPLE"),
        (["bin/edge", "plan", "demo"], "It fits"),
        (["bin/edge-convert", "--help"], "quantize a checkpoint"),
    ],
)
def test_the_programs_run_in_another_folder(installed: Path, program: list[str], said: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "EDGE_DATA": str(tmp_path / "data")}
    words = [sys.executable, str(installed / program[0]), *program[1:]]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


@pytest.mark.slow
def test_a_type_checker_finds_the_types(installed: Path, tmp_path: Path) -> None:
    app = "import edge\n\n\ndef shown(answer: edge.Answer) -> int:\n    return answer.text\n"
    (tmp_path / "app.py").write_text(app, encoding="utf-8")
    # Two files of the package tell whether types are found; all of them are checked from an editable install.
    followed = "[mypy]\nfollow_imports = skip\n" + "".join(f"[mypy-{m}]\nfollow_imports = normal\n" for m in FOLLOWED)
    (tmp_path / "mypy.ini").write_text(followed, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "app.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(installed), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert '(got "str", expected "int")' in done.stdout
