"""Write the tables of docs/models.md: published models in every recipe, by the rules of `python -m edge.plan`.

    python -m tests.models_page

It is run again whenever the plan's rules or the recipes change; tests/unit/test_models_page.py tells when.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge.memory import GB
from edge.plan.advice import LEAST_CONTEXT
from edge.plan.checkpoint import Planned, Variant, find_model
from edge.plan.estimate import Task, estimate
from edge.plan.family import FAMILY
from edge.plan.machine import ON_METAL, Machine, parse_mac
from edge.plan.report import longest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- table: begin, written by `python -m tests.models_page` -->", "<!-- table: end -->"
MACS_GB = (8, 16, 24, 32, 48, 64, 96, 128, 192)
TASK = Task(8192, None, (1024, 1024))
BEGIN_30B, END_30B = "<!-- 30B: begin, written by `python -m tests.models_page` -->", "<!-- 30B: end -->"
MACS_30B = (16, 24, 32, 48, 64)
LARGE = (4096, 4096)


def models_table() -> str:
    """Return the table, a line for each model and recipe."""
    macs = [parse_mac(f"{memory} GB") for memory in MACS_GB]
    head = ["model", "recipe", "GB to download", "GB in memory", *(f"{memory} GB" for memory in MACS_GB)]
    lines = [f"| {' | '.join(head)} |", f"|---|---|{'---:|' * (len(head) - 2)}"]
    for name in FAMILY:
        model = find_model(name, itemsize=ON_METAL.itemsize, recipe=None)
        lines += [_line(model, variant, macs) for variant in model.variants]
    return "\n".join(lines)


def table_30b() -> str:
    """Return the 30B's table: what fits each Mac, in 16 and 8 bits of keys and values and with the largest picture."""
    macs = [parse_mac(f"{memory} GB") for memory in MACS_30B]
    lines = [
        f"| recipe | GB of weights | {' | '.join(f'{mac.name}' for mac in macs)} |",
        f"|---|{'---:|' * (len(macs) + 1)}",
    ]
    model = find_model("30b", itemsize=ON_METAL.itemsize, recipe=None)
    for variant in model.variants:
        cells = []
        for mac in macs:
            tasks = (TASK, replace(TASK, kv_bits=8), replace(TASK, image=LARGE))
            found = [_context(model, variant, mac, task) for task in tasks]
            cells.append("-" if found == ["-"] * 3 else " / ".join(found))
        lines.append(f"| {variant.name} | {variant.weight_bytes / GB:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page_with_table(page: str) -> str:
    """Return the page with the tables of the day between their marks.

    Raises:
        ValueError: A mark is missing.
    """
    for begin, end, table in ((BEGIN, END, models_table()), (BEGIN_30B, END_30B, table_30b())):
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"{PAGE}: expected one line {begin!r} and one {end!r}. Put them back.")
        page = f"{page.split(begin)[0]}{begin}\n{table}\n{end}{page.split(end)[1]}"
    return page


def _line(model: Planned, variant: Variant, macs: list[Machine]) -> str:
    found = estimate(model.config, TASK, weight_bytes=variant.weight_bytes, precision=ON_METAL)
    sizes = [f"{variant.weight_bytes / GB:.1f}", f"{found.peak_bytes / GB:.1f}"]
    contexts = [_context(model, variant, mac) for mac in macs]
    return f"| {' | '.join([model.name, variant.name, *sizes, *contexts])} |"


def _context(model: Planned, variant: Variant, mac: Machine, task: Task = TASK) -> str:
    most = longest(model, variant, task, mac)
    if most < LEAST_CONTEXT:
        return "-"
    return "all" if most == model.config.text.max_position_embeddings else f"{most // 1000}k"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
