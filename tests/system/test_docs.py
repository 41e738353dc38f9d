"""What the pages say is so: marked commands run as they stand, links lead to files, messages are the program's."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from edge.server.arguments import ServerOptions
from edge.server.running import BackgroundServer

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
# A block of commands behind this mark needs no weights but the demo's; README's two blocks have marks of their own.
MARK = re.compile(
    r"<!-- no weights(?P<torch>, needs torch)?(?P<server>, asks a server)?(?P<long>, takes minutes)? -->\n"
    r"```sh\n(?P<block>.*?)```",
    re.S,
)
BLOCKS = [
    pytest.param(
        found["block"],
        found["torch"],
        id=f"{page.name}-{number}",
        marks=[pytest.mark.long] if found["long"] else [],
    )
    for page in PAGES
    for number, found in enumerate(MARK.finditer(page.read_text(encoding="utf-8")), start=1)
    if not found["server"]
]
ASKING = [
    found["block"] for page in PAGES for found in MARK.finditer(page.read_text(encoding="utf-8")) if found["server"]
]
# Why a block has no mark; a block of commands with neither is an oversight.
UNTYPED = re.compile(
    r"<!-- newcomer: |--model |\./my-model|Qwen/|pre-commit|pytest -n auto|my_tools\.py|pip install 'qwen3vl-edge"
)
SERVER_PORT = 8080


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
def test_commands_work_as_they_stand(block: str, needs_torch: str | None, tmp_path: Path) -> None:
    if needs_torch:
        pytest.importorskip("torch")
    done = _run(block, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
@pytest.mark.parametrize("block", ASKING)
def test_commands_for_a_running_server_work_as_they_stand(block: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", SERVER_PORT)) == 0:
            pytest.skip(f"something else listens on port {SERVER_PORT}")
    with BackgroundServer(ServerOptions(port=SERVER_PORT, models=("demo",))):
        done = _run(block, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"finish_reason":"stop"') == 2, done.stdout


def _shell_blocks(text: str) -> list[str]:
    """Return blocks of commands with the line before each; a fence without a language counts as one of commands."""
    blocks = re.findall(r"([^\n]*)\n```([a-z]*)\n(.*?)```(?=\n|$)", text, re.S)
    return [f"{before}\n{block}" for before, language, block in blocks if language in ("", "sh", "bash", "console")]


def test_every_block_of_commands_is_typed_or_cannot_be() -> None:
    blocks = [(page.name, block) for page in PAGES for block in _shell_blocks(page.read_text(encoding="utf-8"))]
    bare = [
        (name, block)
        for name, block in blocks
        if name != "architecture.md" and not block.startswith("<!-- no weights") and not UNTYPED.search(block)
    ]
    assert len(blocks) > 10
    assert not bare, f"mark these with <!-- no weights --> so that they are typed: {bare}"


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
