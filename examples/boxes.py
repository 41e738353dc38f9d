"""Find things in a picture and draw their boxes into it.

$ python examples/boxes.py examples/images/scene.png "blue square" found.png
blue square: (189, 189, 323, 323) of 512x512
"""

from __future__ import annotations

import sys

from PIL import Image, ImageDraw

import edge


def find_boxes(picture: Image.Image, thing: str) -> list[edge.Box]:
    """Return the boxes of a thing, in pixels of the picture as given."""
    with edge.load() as engine:
        answer = engine.ask(f"Where is the {thing}? Answer with bbox_2d JSON.", images=[picture])
    return answer.boxes()


def main(source: str, thing: str, target: str) -> None:
    """Draw, print, save."""
    picture = Image.open(source).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for box in find_boxes(picture, thing):
        pen.rectangle(box.corners_px, outline="magenta", width=3)
        print(f"{box.label}: {box.corners_px} of {picture.width}x{picture.height}")
    picture.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:4])
