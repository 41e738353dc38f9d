"""Describe every picture of a folder, several at a time.

$ python examples/captions.py examples/images
after.png: I see a purple cross at the top, an orange circle on the left and a green square at the bottom right.
before.png: I see a purple cross at the top, an orange circle on the left and a black square at the bottom right.
receipt.png: I see the text "CAFE" in purple.
scene.png: I see a red circle at the top left, a yellow star at the top right, a blue square in the center and a green
triangle at the bottom left.
sign.png: I see the text "APPLE" in purple.
"""

from __future__ import annotations

import sys
from pathlib import Path

import edge


def main(folder: Path) -> None:
    """Print one line for each picture."""
    paths = sorted(folder.glob("*.png"))
    requests = [edge.Request(messages=[edge.user_message("What is in this picture?", images=[path])]) for path in paths]
    with edge.load() as engine:  # edge.load("Qwen/Qwen3-VL-4B-Instruct") for real pictures
        results = sorted(engine.map(requests), key=lambda result: result.index)  # they come as they finish
    for path, result in zip(paths, results, strict=True):
        print(f"{path.name}: {result.answer.text if result.answer else result.error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
