"""Read the fields of a receipt into a typed object; the answer must obey a JSON Schema.

$ python examples/receipt.py examples/images/receipt.png
Receipt(text='CAFE', color='purple')
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import edge

SHOPS = ["HOTEL", "TAXI", "CAFE", "BREAD"]
COLORS = ["red", "green", "blue", "yellow", "purple", "orange", "black"]
SCHEMA = {
    "type": "object",
    "properties": {"text": {"enum": SHOPS}, "color": {"enum": COLORS}},
    "required": ["text", "color"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Receipt:
    """What is printed on a receipt, and in what ink."""

    text: str
    color: str


def read_receipt(engine: edge.Engine, path: Path) -> Receipt:
    """Ask for the fields; the thought before them is free."""
    answer = engine.ask(
        "Read the sign and answer as JSON with text and color.", images=[path], schema=SCHEMA, max_tokens=200
    )
    return Receipt(**answer.json())  # an edge.AnswerError if it was cut off


if __name__ == "__main__":
    with edge.load() as engine:
        print(read_receipt(engine, Path(sys.argv[1])))
