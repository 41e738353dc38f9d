"""Make the tables of bits under a budget: `python -m examples.demo_model.budget_table edge/demo WORK --at-once 2`.

Writes the second prompt set and the calibration's, calibrates, converts at the bytes of plain 4 and 3 bits, holds
everything against the original by one run of `convert verify`, and asks held-out cases. Prints Markdown rows. What is
done lies in WORK, so that a stopped run goes on; WORK belongs to one state of the original's weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASKS = ("describe", "read", "box", "tool", "yes_no", "shape")
# Part of the scored tokens -> how a report names it: unlike prompts or not, and what stands before.
PARTS = {
    "held-out questions": (False, "all"),
    "unlike, after a picture": (True, "picture"),
    "unlike, no picture": (True, "text"),
}
_CALIBRATED, _TOWER = ("--calibration", "demo.calib"), ("--set", "vision_tower=bf16")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A conversion: its folder's name, the command line's options, and whether it is asked."""

    name: str
    options: tuple[str, ...]
    is_asked: bool = False


CANDIDATES = (
    Candidate("plain4", ("--recipe", "4bit", "--no-search"), is_asked=True),
    Candidate("budget4", ("--size", "4bit", *_TOWER)),
    Candidate("calibrated4", ("--size", "4bit", *_TOWER, *_CALIBRATED), is_asked=True),
    Candidate("plain3", ("--recipe", "3bit", "--no-search"), is_asked=True),
    Candidate("budget3", ("--size", "3bit", *_TOWER)),
    Candidate("calibrated3", ("--size", "3bit", *_TOWER, *_CALIBRATED), is_asked=True),
    Candidate("tower4", ("--size", "4bit")),
    Candidate("tower3", ("--size", "3bit")),
)


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cases", type=int, default=40, help="held-out cases a task; 0 asks nothing (default: 40)")
    parser.add_argument("--at-once", type=int, default=1, help="programs at the same time (default: 1)")
    parser.add_argument("--short", action="store_true", help="only plain and calibrated, the rows that are promised")
    given = parser.parse_args()
    chosen = [one for one in CANDIDATES if one.is_asked or not given.short]
    table = BudgetTable(given.original, given.work, at_once=given.at_once)
    table.convert(chosen)
    asked = [one for one in chosen if one.is_asked] if given.cases else []
    table.measure(chosen, asked, given.cases)
    print(kld_table(chosen, table.reported(chosen)), flush=True)
    if asked:
        print(f"\n{accuracy_table(asked, table.answered(asked, given.cases))}", flush=True)


class BudgetTable:
    """The steps, each of which looks first whether it was done."""

    def __init__(self, original: Path, work: Path, *, at_once: int) -> None:
        """Prepare the folder.

        Raises:
            SystemExit: It holds the work on other weights.
        """
        self.original, self.work = original, work
        self._pool = ThreadPoolExecutor(at_once)
        work.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256((original / "model.safetensors").read_bytes()).hexdigest()
        kept = work / "weights.sha256"
        if kept.exists() and kept.read_text(encoding="utf-8") != digest:
            sys.exit(
                f"{work}: expected the work on {original} as it is, found that on other weights. Take a new folder."
            )
        kept.write_text(digest, encoding="utf-8")

    def convert(self, candidates: Sequence[Candidate]) -> None:
        """Write prompts, calibrate and convert."""
        sets = (("second", "2"), ("calibration", "4"))
        missing = [item for item in sets if not (self.work / item[0] / "prompts.jsonl").exists()]
        module = "examples.demo_model.prompt_sets"
        self._all([[module, name, str(self.work / name), "--cases", cases] for name, cases in missing])
        calibration, prompts = self.work / "demo.calib", self.work / "calibration" / "prompts.jsonl"
        plain = [one for one in candidates if not set(_CALIBRATED) <= set(one.options)]
        first = [] if calibration.exists() else [
            ["convert", "calibrate", str(self.original), str(calibration), "--prompts", str(prompts)]
        ]  # fmt: skip
        self._all(first + self._conversions(plain))
        self._all(self._conversions([one for one in candidates if one not in plain]))

    def measure(self, candidates: Sequence[Candidate], asked: Sequence[Candidate], cases: int) -> None:
        """Hold all against the original, and ask some of them held-out cases, by this runtime."""
        commands = []
        if not self._report(candidates).exists():
            commands.append(
                [
                    *("convert", "verify", "--reference", str(self.original), "--no-card"),
                    *("--report", str(self._report(candidates).parent), "--work", str(self.work / "states")),
                    *("--prompts", str(self.work / "second" / "prompts.jsonl")),
                    *("--candidate", *(str(self.work / one.name) for one in candidates)),
                ]
            )
        commands += [
            [
                *("examples.demo_model.evaluate", str(self.work / one.name), "--backend", "edge"),
                *("--cases", str(cases), "--json", str(self._answers(one, cases)), "--tasks", *TASKS),
            ]
            for one in asked
            if not self._answers(one, cases).exists()
        ]
        self._all(commands)

    def reported(self, candidates: Sequence[Candidate]) -> dict[str, dict[str, Any]]:
        """Return the report's record of each candidate."""
        found = json.loads(self._report(candidates).read_text(encoding="utf-8"))["candidates"]
        return {one["name"]: one for one in found}

    def answered(self, candidates: Sequence[Candidate], cases: int) -> dict[str, list[dict[str, Any]]]:
        """Return the results of each candidate by task."""
        return {one.name: json.loads(self._answers(one, cases).read_text(encoding="utf-8")) for one in candidates}

    def _report(self, candidates: Sequence[Candidate]) -> Path:
        return self.work / f"report-{len(candidates)}" / "report.json"

    def _answers(self, candidate: Candidate, cases: int) -> Path:
        return self.work / f"{candidate.name}-{cases}.json"

    def _conversions(self, candidates: Sequence[Candidate]) -> list[list[str]]:
        missing = [one for one in candidates if not (self.work / one.name).exists()]
        return [
            ["convert", "mlx", str(self.original), str(self.work / one.name), *self._placed(one)] for one in missing
        ]

    def _placed(self, candidate: Candidate) -> list[str]:
        return [str(self.work / word) if word == "demo.calib" else word for word in candidate.options]

    def _all(self, commands: Sequence[list[str]]) -> None:
        list(self._pool.map(self._run, commands))

    def _run(self, words: list[str]) -> None:
        # numpy's threads would wait for each other beside a second program
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        done = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, env=os.environ | threads, check=False
        )
        if done.returncode:
            sys.exit(f"python -m {' '.join(words)}: exit status {done.returncode}\n{done.stderr[-2000:]}")


def kld_table(candidates: Sequence[Candidate], found: dict[str, dict[str, Any]]) -> str:
    """Format mean KLD by part as a Markdown table."""
    rows = [f"| options | MB | {' | '.join(PARTS)} |", "|---|" + "---:|" * (1 + len(PARTS))]
    for one in candidates:
        own = found[one.name]
        cells = [_kld(own["splits"], *part) for part in PARTS.values()]
        rows.append(f"| `{' '.join(one.options)}` | {own['num_bytes'] / 1e6:.2f} | {' | '.join(cells)} |")
    return "\n".join(rows)


def accuracy_table(candidates: Sequence[Candidate], found: dict[str, list[dict[str, Any]]]) -> str:
    """Format right answers by task as a Markdown table."""
    rows = [f"| options | {' | '.join(TASKS)} |", "|---|" + "---:|" * len(TASKS)]
    for one in candidates:
        by_task = {result["task"]: result for result in found[one.name]}
        cells = [f"{by_task[task]['right']} of {by_task[task]['total']}" for task in TASKS]
        rows.append(f"| `{' '.join(one.options)}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def _kld(splits: Sequence[dict[str, Any]], is_unlike: bool, behind: str) -> str:
    part = next(
        split for split in splits if (split["is_unlike"], split["behind"], split["part"]) == (is_unlike, behind, "all")
    )
    return f"{part['mean_kld']:.4f} ± {part['mean_kld_stderr']:.4f}"


if __name__ == "__main__":
    main()
