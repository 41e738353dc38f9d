"""Measure held-out accuracy: `python -m examples.demo_model.evaluate FOLDER --backend torch --json out.json`.

Backends: `torch` is transformers in float32, greedy; `edge` is this project's runtime, greedy; `both` also counts the
cases in which they write the same thought and the same answer, word for word. Prints one row a task, as soon as it is
asked.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .checks import Case
from .held_out import TASKS, cases

Runner = Callable[[list[Case]], list[tuple[str, str]]]
GOALS = {"describe": 0.95, "count": 0.95, "compare": 0.95, "read": 0.9, "box": 0.85, "video": 0.9, "tool": 0.95}


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one task, with the first wrong answers."""

    task: str
    right: int
    total: int
    thought: int
    seconds: float
    wrong: list[dict[str, str]]
    answers: list[tuple[str, str]]  # reasoning and text of every case


def measure(task: str, number: int, run: Runner) -> Result:
    """Ask `number` held-out questions of a task and check the answers."""
    asked = cases(task, number)
    began = time.perf_counter()
    answers = run(asked)
    seconds = time.perf_counter() - began
    wrong = []
    for case, (reasoning, text) in zip(asked, answers, strict=True):
        if not case.check(text):
            question = case.messages[-1]["content"]
            shown = question if isinstance(question, str) else question[-1]["text"]
            wrong.append({"question": shown, "expected": case.expected, "answer": text, "reasoning": reasoning})
    thought = sum(bool(reasoning) for reasoning, _ in answers)
    return Result(task, number - len(wrong), number, thought, seconds, wrong[:12], answers)


HEADER = "| task | right | of | accuracy | goal |\n|---|---|---|---|---|"


def table_row(one: Result) -> str:
    """Format a result as a row of a Markdown table."""
    goal = f"{GOALS[one.task]:.0%}" if one.task in GOALS else ""
    return f"| {one.task} | {one.right} | {one.total} | {one.right / one.total:.1%} | {goal} |"


def _runner(folder: Path, backend: str) -> Runner:
    if backend == "edge":
        from .edge_backend import EdgeBackend

        return EdgeBackend(folder).answers
    from .torch_backend import TorchBackend

    return TorchBackend(folder).answers


AGREEMENT_HEADER = "| task | same words | of | torch | edge |\n|---|---|---|---|---|"


def agreement_row(one: Result, other: Result) -> str:
    """Format in how many cases two backends wrote the same thought and answer."""
    same = sum(a == b for a, b in zip(one.answers, other.answers, strict=True))
    return f"| {one.task} | {same} | {one.total} | {one.right} | {other.right} |"


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend", choices=("torch", "edge", "both"), default="torch")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    runners = [_runner(args.folder, name) for name in ("torch", "edge") if args.backend in (name, "both")]
    print(HEADER if len(runners) == 1 else AGREEMENT_HEADER, flush=True)
    results = []
    for task in args.tasks:
        found = [measure(task, args.cases, run) for run in runners]
        results.append(found[-1])
        print(table_row(found[0]) if len(found) == 1 else agreement_row(*found), flush=True)
    if args.json is not None:
        content = [
            {"task": r.task, "right": r.right, "total": r.total, "thought": r.thought, "seconds": r.seconds,
             "wrong": r.wrong}
            for r in results
        ]  # fmt: skip
        args.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
