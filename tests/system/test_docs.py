"""What the pages say is so: marked commands run as they stand, links lead to files, messages are the program's."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
# A block of commands behind this mark needs no weights but the demo's; README's two blocks have marks of their own.
MARK = re.compile(r"<!-- no weights(?P<torch>, needs torch)? -->\n```sh\n(?P<block>.*?)```", re.S)
BLOCKS = [
    pytest.param(found["block"], bool(found["torch"]), id=f"{page.name}-{number}")
    for page in PAGES
    for number, found in enumerate(MARK.finditer(page.read_text(encoding="utf-8")), start=1)
]


def _run(block: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type a block in a folder that looks like a clone; what it writes stays there."""
    for name in ("edge", "convert", "examples", "tests", "docs"):
        (folder / name).symlink_to(ROOT / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "EDGE_DATA": str(folder / "data")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("block", "needs_torch"), BLOCKS)
def test_commands_work_as_they_stand(block: str, needs_torch: bool, tmp_path: Path) -> None:
    if needs_torch:
        pytest.importorskip("torch")
    done = _run(block, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_block_with_a_wrong_command_fails(tmp_path: Path) -> None:
    assert _run("python -m edge.plan --recipes 4bit\ntrue\n", tmp_path).returncode == 2


@pytest.mark.parametrize("name", ["models.md", "convert.md", "verify.md"])
def test_the_pages_about_commands_have_blocks_that_are_typed(name: str) -> None:
    assert MARK.search((ROOT / "docs" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_files_and_programs_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = set(re.findall(r"(?<![\w/.~-])(?:edge|convert|tests|examples|docs)/[\w./-]*\w", text))
    programs = {
        name.replace(".", "/") for name in re.findall(r"python -m ((?:edge|convert|tests|examples)[\w.]*\w)", text)
    }
    missing = {name for name in files if not (ROOT / name).exists()}
    missing |= {
        name for name in programs if not ((ROOT / f"{name}.py").exists() or (ROOT / name / "__main__.py").exists())
    }
    assert not missing, f"{page.name} names what is not there: {missing}"


def test_the_readme_is_a_door_sign() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


@cache
def _messages() -> frozenset[str]:
    """Return every text of the product, with … for each value that is filled in."""
    found = set()
    for path in (path for half in ("edge", "convert") for path in (ROOT / half).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.add("".join(parts))
    return frozenset(found)


FAQ = re.findall(r"^### `(.*)`$", (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("message", FAQ)
def test_each_message_of_the_faq_is_one_of_the_program(message: str) -> None:
    assert any(message in text for text in _messages())


def test_a_message_that_nobody_writes_is_seen() -> None:
    assert FAQ
    assert not any("the disk is on fire" in text for text in _messages())
