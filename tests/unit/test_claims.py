"""A figure that a page claims comes with the command that makes it, or with a link to a page that has it.

In measured.md a table has a column of commands that is filled in every row, or its section names the command. On other
pages a section with measured figures names a command, or leads to measured.md or to models.md, which a command writes.
Bounds that the program keeps are no measurements: they are listed here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "docs" / "measured.md"
# Made by commands of their own, or dated notes of what somebody saw.
WRITTEN = ("api.md", "models.md", "architecture.md", "walks.md", "measured.md")
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in WRITTEN)]
BOUNDS = {
    "README.md": ["a few minutes, 0.2 GB"],
    "chat.md": ["up to 64 MiB each", "60 seconds", "10 minutes"],
    "convert.md": ["the disk holds 5 GB"],
    "server.md": ["(64 MiB), within 60 seconds", "for 60 seconds", "64 MiB and 20 seconds", "256 MiB"],
}
NUMBER = r"\d[\d.,]*"
FIGURE = re.compile(
    rf"{NUMBER} ?(%|percent|ms|s|seconds?|minutes?|hours?|times|tokens/s|tokens? a second|points|nats|[KMGT]i?B)(?!\w)"
    rf"|{NUMBER}e-\d+|\bKLD? (?:of )?{NUMBER}|\b(?:twice|half) as (?:fast|long|much)",
)
COMMAND = re.compile(
    r"`(?:python -m (?:tests|examples|convert|edge\.(?:bench|plan))\b|pytest )[^`]*`"
    r"|\((?:docs/)?(?:measured|models)\.md[^)]*\)"
)


def sections(text: str) -> list[str]:
    """Split a page at its headings, without its blocks of code."""
    return re.split(r"^#+ .*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)


def unbacked(text: str, bounds: list[str]) -> list[str]:
    """Return the figures of sections that neither name a command nor lead to the page of figures."""
    found = []
    for section in sections(text):
        for bound in bounds:
            section = re.sub(r"\s+".join(map(re.escape, bound.split())), "", section)
        if not COMMAND.search(section):
            found += [match.group() for match in FIGURE.finditer(section)]
    return found


def without_command(text: str) -> list[str]:
    """Return the rows of tables whose column of commands is empty, and tables of figures in sections without one."""
    found = []
    for section in sections(text):
        for table in re.findall(r"(?:^\|.*\|\n)+", section, flags=re.M):
            head, _, *rows = (
                [cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()
            )
            if "command" in head:
                place = head.index("command")
                empty = [row for row in rows if not row[place] and "not run" not in " ".join(row)]
                leaning = rows[:1] if rows[0][place] in ("same", "the same", "as above") else []
                found += [row[0] for row in (*empty, *leaning)]
            elif not COMMAND.search(section):
                found.append(rows[0][0])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_measured_figures_come_with_their_command(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    bare = unbacked(text, BOUNDS.get(page.name, []))
    assert not bare, f"{page.name} claims {bare}: name the command in that section, or lead to measured.md"
    stale = [bound for bound in BOUNDS.get(page.name, []) if bound.split() and bound not in " ".join(text.split())]
    assert not stale, f"not in {page.name} any more: {stale}"


def test_every_row_of_measured_figures_has_its_command() -> None:
    bare = without_command(MEASURED.read_text(encoding="utf-8"))
    assert not bare, f"measured.md: no command makes {bare}"


@pytest.mark.parametrize(
    "claim",
    [
        "Decoding takes 3.5 s on this machine.",
        "It reads 40 % faster than others.",
        "Answers come at 512 tokens/s.",
        "The error is 3e-7 at most.",
        "A KL of 0.02 is lost.",
        "It needs 2.5 GB at its peak.",
        "It is twice as fast as before.",
        "| speed | 2.1 times |",
    ],
)
def test_a_claim_without_a_command_is_seen(claim: str) -> None:
    assert unbacked(f"# Title\n\n`pytest tests`\n\n## Section\n\n{claim}\n", [])
    assert not unbacked(f"# Title\n\n## Section\n\n{claim}\nMade by `pytest tests/unit`.\n", [])
    assert not unbacked(f"## Section\n\n{claim} See [measured](measured.md#right).\n", [])


def test_a_row_without_a_command_is_seen() -> None:
    head = "## One\n\n| what | figure | command |\n|---|---|---|\n"
    assert without_command(f"{head}| time | 3 s | `pytest x` |\n| size | 2 GB | |\n") == ["size"]
    assert without_command(f"{head}| time | 3 s | same |\n") == ["time"]
    assert without_command("## One\n\n| what | KL |\n|---|---|\n| 4bit | 0.1 |\n") == ["4bit"]
    assert without_command("## One\n\nBy `python -m tests.x`.\n\n| what | KL |\n|---|---|\n| 4bit | 0.1 |\n") == []
