"""Measure every recipe and GGUF type: `python -m examples.demo_model.bits_table edge/demo WORK --cases 200`.

Each is converted into WORK, held against the original by `convert verify` on held-out questions with their answers (KL
in nats, top-1 agreement), and asked held-out cases by transformers in float32 on the values this runtime reads. Prints
two Markdown tables; finished lines are kept in WORK/lines.json, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from convert.gguf.types import FILE_TYPES
from edge.plan.recipes import RECIPES

from .evaluate import measure
from .held_out import FIRST, cases
from .prompt_sets.writing import prompt_line
from .torch_backend import TorchBackend
from .unpacked import write_unpacked

TASKS = ("describe", "read", "box", "tool", "yes_no", "all_boxes", "as_json", "free_result")
PROMPTS_A_TASK = 2
# The scale search is on unless told otherwise.
MLX = (*RECIPES, "4bit --no-search", "3bit --no-search")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table."""

    name: str
    megabytes: float
    kl: float
    top1: float
    accuracy: dict[str, float]


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("original", type=Path)
    parser.add_argument("work", type=Path, help="folder for conversions and finished lines")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--only", nargs="*", help="names of recipes and types (default: all)")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    write_prompts(args.work / "prompts")
    for kind, names in (("MLX recipe", MLX), ("GGUF type", tuple(FILE_TYPES))):
        chosen = [name for name in names if not args.only or name in args.only]
        lines = [line(args.original, args.work, name, kind=kind, number=args.cases) for name in chosen]
        print(f"\n{table(kind, lines)}", flush=True)


def line(original: Path, work: Path, name: str, *, kind: str, number: int) -> Line:
    """Return a row, measured now or before."""
    kept = work / "lines.json"
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    key = f"{kind} {name} {number} {original.resolve()}"
    if key not in known:
        conversion = convert(original, work, name, kind=kind)
        known[key] = {
            "name": name,
            **verify(original, conversion, work),
            "accuracy": ask(conversion, original, work, number),
        }
        kept.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return Line(**known[key])


def convert(original: Path, work: Path, name: str, *, kind: str) -> Path:
    """Convert the original; returns the folder or the text file."""
    first, *options = name.split()
    if kind == "MLX recipe":
        out = work / name.replace(" ", "")
        command = ["mlx", str(original), str(out), "--recipe", first, *options]
    else:
        out = work / f"gguf-{name}" / f"demo-{name}.gguf"
        out.parent.mkdir(exist_ok=True)
        command = ["gguf", str(original), str(out), "--type", name, "--mmproj", "F16"]
    if not out.exists():
        _run(command)
    return out


def verify(original: Path, conversion: Path, work: Path) -> dict[str, float]:
    """Measure KL and top-1 agreement over the prompts' tokens; returns them with the size."""
    report = work / "report"
    prompts = work / "prompts" / "prompts.jsonl"
    _run(["verify", "--reference", str(original), "--candidate", str(conversion), "--prompts", str(prompts), "--work",
          str(work / "states"), "--report", str(report), "--no-card"])  # fmt: skip
    found = json.loads((report / "report.json").read_text(encoding="utf-8"))["candidates"][0]
    score = found["kinds"][0]
    return {"megabytes": found["num_bytes"] / 1e6, "kl": score["mean_kl"], "top1": 100 * score["top1"]}


def ask(conversion: Path, original: Path, work: Path, number: int) -> dict[str, float]:
    """Ask held-out cases; returns the right answers in percent by task."""
    folder = work / "unpacked"
    write_unpacked(conversion, original, folder)
    backend = TorchBackend(folder)
    found = [measure(task, number, backend.answers) for task in TASKS]
    return {one.task: 100 * one.right / one.total for one in found}


def write_prompts(folder: Path) -> None:
    """Write held-out questions with their right answers as a prompt file with pictures beside it."""
    folder.mkdir(exist_ok=True)
    lines = []
    for task in FIRST:
        for index, case in enumerate(cases(task, PROMPTS_A_TASK)):
            lines.append(prompt_line(folder, f"{task}-{index}", task, case))
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")


def table(kind: str, lines: list[Line]) -> str:
    """Format rows as a Markdown table."""
    rows = [f"| {kind} | MB | KL | top-1 | {' | '.join(TASKS)} |", "|---|" + "---:|" * (3 + len(TASKS))]
    for one in lines:
        right = " | ".join(f"{one.accuracy[task]:.1f}" for task in TASKS)
        rows.append(f"| {one.name} | {one.megabytes:.2f} | {one.kl:.3f} | {one.top1:.2f} | {right} |")
    return "\n".join(rows)


def _run(command: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "convert", *command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
