"""Text that repeats itself for good reasons: tables, lists, code, numbers, forms; every piece is one answer."""

from __future__ import annotations

import random
from collections.abc import Callable

Chance = random.Random
WORDS = ["tea", "milk", "bread", "rice", "salt", "apples", "beans", "soap", "paper", "bulbs"]


def csv_of_readings(chance: Chance) -> list[str]:
    rows = [f"2024-03-{1 + i // 24:02d} {i % 24:02d}:00,{chance.randint(18, 22)},0,0,0,ok" for i in range(200)]
    return ["time,temperature,rain,wind,snow,state", *rows]


def csv_with_equal_cells(chance: Chance) -> list[str]:
    return ["id,a,b,c,d,e,f", *[f"{i},0,0,0,0,0,{chance.choice('01')}" for i in range(150)]]


def csv_of_equal_rows(chance: Chance) -> list[str]:
    return ["x,y,z", *["0.0,0.0,0.0"] * 20, *[f"{i}.5,0.0,0.0" for i in range(80)], *["-,-,-"] * 20]


def markdown_table(chance: Chance) -> list[str]:
    rule = "|" + "|".join(["-" * 12] * 6) + "|"
    rows = [f"| {i:>10} | {chance.choice(WORDS):>10} |" + "            |" * 4 for i in range(1, 120)]
    return ["|" + " head       |" * 6, rule, *rows]


def ruled_receipt(chance: Chance) -> list[str]:
    lines = ["=" * 200, "RECEIPT".center(60), "=" * 200]
    for i in range(60):
        lines += [f"{chance.choice(WORDS):<20}{i:>6}{chance.randint(1, 99):>10}.00", "-" * 60]
    return [*lines, "_" * 200, "TOTAL" + "." * 150 + "99.00"]


def counting(chance: Chance) -> list[str]:
    start = chance.randint(0, 1000)
    return [f"{i}" for i in range(start, start + 250)]


def numbered_steps(chance: Chance) -> list[str]:
    return [f"{i}. Press the button and wait until the lamp is green." for i in range(1, 120)]


def zero_lists(chance: Chance) -> list[str]:
    return [f"row_{i} = [" + ", ".join(["0"] * 40) + "]" for i in range(60)]


def identity_matrix(chance: Chance) -> list[str]:
    return [" ".join("1" if i == j else "0" for j in range(40)) for i in range(40)]


def code(chance: Chance) -> list[str]:
    lines = ["#" * 80, "class Table:"]
    for i in range(60):
        lines += [f"    def get_{chance.choice(WORDS)}_{i}(self) -> int:", f"        return self._values[{i}]", ""]
    return [*lines, *["        }", "    }", "}"] * 3]


def switch(chance: Chance) -> list[str]:
    return [line for i in range(80) for line in (f"        case {i}:", "            return true;")]


def html_table(chance: Chance) -> list[str]:
    rows = [f'<tr data-bbox="40 {20 * i} 960 {20 * i + 18}">' + "<td></td>" * 6 + "</tr>" for i in range(80)]
    return ["<table>", *rows, "</table>"]


def empty_form(chance: Chance) -> list[str]:
    return ["<table>", *["<tr><td></td><td></td></tr>"] * 12, "</table>", "[ ] " * 30]


def boxes(chance: Chance) -> list[str]:
    rows = [f'{{"bbox_2d": [{i}, 200, {i + 9}, 400], "label": "chair"}},' for i in range(0, 900, 9)]
    return ["```json", "[", *rows, "]", "```"]


def log(chance: Chance) -> list[str]:
    return [f"[{i // 60:02d}:{i % 60:02d}] INFO worker: heartbeat ok" for i in range(200)]


def song(chance: Chance) -> list[str]:
    chorus = ["La la la la la la la", "we sing and sing again"] * 4
    return [line for i in range(8) for line in (f"Verse {i}: about {WORDS[i]}", *chorus)]


def binary(chance: Chance) -> list[str]:
    return [
        "0" * 120,
        "1" * 120,
        *["".join(chance.choice("01") for _ in range(64)) for _ in range(60)],
        "A" * 200 + "==",
    ]


def tree(chance: Chance) -> list[str]:
    return [f"│   │   │   ├── file_{i}.txt" if i % 7 else f"│   ├── folder_{i}" for i in range(150)]


def shopping(chance: Chance) -> list[str]:
    return [f"- {chance.choice(WORDS)}, {chance.randint(1, 3)} pieces" for _ in range(150)]


def sums(chance: Chance) -> list[str]:
    return [f"{i} x {j} = {i * j}" for i in range(1, 13) for j in range(1, 13)]


KINDS: list[Callable[[Chance], list[str]]] = [
    *(csv_of_readings, csv_with_equal_cells, csv_of_equal_rows, markdown_table, ruled_receipt, counting),
    *(numbered_steps, zero_lists, identity_matrix, code, switch, html_table, empty_form, boxes, log, song, binary),
    *(tree, shopping, sums),
]


def answers(num_lines: int) -> list[list[str]]:
    """Make answers of every kind in turn until they have this many lines together."""
    chance, made, count = random.Random(9), list[list[str]](), 0
    while count < num_lines:
        made.append(KINDS[len(made) % len(KINDS)](chance))
        count += len(made[-1])
    return made
