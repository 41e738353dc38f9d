"""Make the figures of docs/measured.md again: `python -m tests.measured`.

Runs the commands below on this tree, takes the figures that they note, and writes them between the page's marks
(`<!-- figure NAME -->...<!-- end -->`). What takes hours or another program has no mark and keeps its date.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "measured.md"
MARK = re.compile(r"<!-- figure (?P<name>[a-z0-9-]+) -->(?P<shown>[^|\n]*?)<!-- end -->")
PARITY_BOUND = 1e-5
WRONG = re.compile("fail|wrong|mutant|notice|seen")
"""Names of the tests of deliberately wrong variants, whose errors are none of ours."""


@dataclass(frozen=True, slots=True)
class Noted:
    """One line that `tests.figures.note_figure` wrote."""

    name: str
    value: float
    test: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the page.

    Attributes:
        command: What makes it, after `python -m`.
        chosen: Which of the notes count.
        show: How their values are written.
    """

    command: str
    chosen: Callable[[Noted], bool]
    show: Callable[[Sequence[float]], str]


def _parity(*files: str) -> Callable[[Noted], bool]:
    def is_chosen(noted: Noted) -> bool:
        is_of_file = any(noted.test.startswith(f"tests/parity/{file}") for file in files)
        is_ours = noted.name == "relative error" and not WRONG.search(noted.test)
        return is_ours and is_of_file and 0 < noted.value <= PARITY_BOUND

    return is_chosen


def _named(name: str) -> Callable[[Noted], bool]:
    return lambda noted: noted.name == name


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1e} to {max(values):.1e}".replace("e-0", "e-")


def _most(values: Sequence[float]) -> str:
    return f"{max(values):.1e}".replace("e-0", "e-")


def _ratios(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f} times"


def _whole(values: Sequence[float]) -> str:
    return f"{values[-1]:,.0f}"


def _decimals(digits: int, *, percent: bool = False) -> Callable[[Sequence[float]], str]:
    return lambda values: f"{values[-1] * (100 if percent else 1):.{digits}f}"


PARTS = "pytest tests/parity/test_decoder_parts.py tests/parity/test_vision_tower.py"
PACKED = "pytest tests/system/test_packed_quality.py"
GRAPH = "pytest tests/unit/model/test_graph.py"
FIGURES = {
    "forward": Figure("pytest tests/parity/test_forward.py", _parity("test_forward.py"), _range),
    "parts": Figure(PARTS, _parity("test_decoder_parts.py", "test_vision_tower.py"), _most),
    "gaps": Figure("pytest tests/parity/test_rope_positions.py", _parity("test_rope_positions.py"), _range),
    "adapter": Figure("pytest tests/parity/test_adapter_peft.py", _named("adapter"), _most),
    "planned-30b": Figure("pytest tests/unit/convert/test_plan.py", _named("planned-30b"), _whole),
    "kernels-moe": Figure(GRAPH, _named("kernels-moe"), _whole),
    "kernels-dense": Figure(GRAPH, _named("kernels-dense"), _whole),
    "packed-8-kl": Figure(PACKED, _named("packed-8-kl"), _decimals(4)),
    "packed-8-top1": Figure(PACKED, _named("packed-8-top1"), _decimals(1, percent=True)),
    "packed-4-kl": Figure(PACKED, _named("packed-4-kl"), _decimals(3)),
    "packed-4-top1": Figure(PACKED, _named("packed-4-top1"), _decimals(1, percent=True)),
    "rows": Figure("tests.rows_speed", _named("rows"), _ratios),
}


def main() -> int:
    """Run what was asked for and write the page; 1 when a command failed or noted nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"only these (default: all): {', '.join(FIGURES)}")
    names = parser.parse_args().figures or list(FIGURES)
    if unknown := [name for name in names if name not in FIGURES]:
        parser.error(f"no such figure: {', '.join(unknown)}")
    shown, failed = measure(names)
    shown["day"] = datetime.now(UTC).date().isoformat()
    shown["machine"] = machine()
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), shown), encoding="utf-8")
    for line in failed:
        print(f"not made again: {line}", file=sys.stderr)
    return 1 if failed else 0


def measure(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Run each command once; returns what the page shows, and what could not be made."""
    by_command: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_command[FIGURES[name].command].append(name)
    shown: dict[str, str] = {}
    failed: list[str] = []
    for command, wanted in by_command.items():
        print(f"python -m {command}", flush=True)
        notes, code = run_noting(command)
        for name in wanted:
            values = [noted.value for noted in notes if FIGURES[name].chosen(noted)]
            if code or not values:
                failed.append(f"{name} (python -m {command}: exit code {code}, {len(values)} values)")
            else:
                shown[name] = FIGURES[name].show(values)
                print(f"  {name}: {shown[name]}", flush=True)
    return shown, failed


def run_noting(command: str) -> tuple[list[Noted], int]:
    """Run a module's command with figures noted; returns the notes and the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        environment = {**os.environ, "EDGE_FIGURES": str(file)}
        done = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, env=environment, check=False)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Noted(**json.loads(line)) for line in lines], done.returncode


def page_with(page: str, shown: dict[str, str]) -> str:
    """Return the page with these figures between their marks; others stay."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- figure {name} -->{shown.get(name, match['shown'])}<!-- end -->"

    return MARK.sub(fill, page)


def machine() -> str:
    """Name the processor and the system."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*: (.*)", cpuinfo.read_text(encoding="utf-8"))
        processor = found[1] if found else processor
    return f"{os.cpu_count()} cores of {processor}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
