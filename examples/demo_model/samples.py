"""Draw the sample pictures and the sample video: `python -m examples.demo_model.samples examples edge/demo/samples`.

Out: in the first folder images/scene.png, sign.png, before.png and after.png, video/appear.mp4 and appear.gif; in the
second, which is part of the package, the same files side by side. All are held-out scenes.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import av
from PIL import Image

from .scenes import COLOURS, Scene, Thing, sign_scene, with_things

SCALE = 4
FRAME_RATE = 10


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("package", type=Path)
    args = parser.parse_args()
    for pictures, videos in ((args.out / "images", args.out / "video"), (args.package, args.package)):
        for folder in (pictures, videos):
            folder.mkdir(parents=True, exist_ok=True)
        draw_pictures(pictures)
        draw_video(videos)


def draw_pictures(folder: Path) -> None:
    """Draw a scene, a sign, a receipt of one word, and a pair that differs in one thing."""
    scene = _scene(("circle", "red", 0), ("star", "yellow", 2), ("square", "blue", 4), ("triangle", "green", 6))
    scene.draw(SCALE).save(folder / "scene.png", optimize=True)
    sign_scene(random.Random(5), "APPLE").draw(SCALE).save(folder / "sign.png", optimize=True)
    sign_scene(random.Random(5), "CAFE").draw(SCALE).save(folder / "receipt.png", optimize=True)
    before = _scene(("cross", "purple", 1), ("circle", "orange", 3), ("square", "black", 8))
    things = [*before.things[:2], _thing("square", "green", 8)]
    before.draw(SCALE).save(folder / "before.png", optimize=True)
    with_things(before, things).draw(SCALE).save(folder / "after.png", optimize=True)


def draw_video(folder: Path) -> None:
    """Draw five seconds in which a red star appears at second 3, as MP4 and as GIF."""
    before = _scene(("circle", "blue", 0))
    after = with_things(before, [*before.things, _thing("star", "red", 7)])
    frames = [(before if index < 3 * FRAME_RATE else after).draw(2) for index in range(5 * FRAME_RATE)]
    with av.open(str(folder / "appear.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_image(frame)  # type: ignore[no-untyped-call]  # av has no types here
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    small = [frame.quantize(32, dither=Image.Dither.NONE) for frame in frames[:: FRAME_RATE // 2]]
    small[0].save(folder / "appear.gif", save_all=True, append_images=small[1:], duration=500, loop=0)


def _scene(*things: tuple[str, str, int]) -> Scene:
    return Scene(tuple(_thing(*thing) for thing in things), None, (255, 255, 255))


def _thing(shape: str, colour: str, cell: int) -> Thing:
    step = 128 / 3
    return Thing(shape, colour, cell, (cell % 3 + 0.5) * step, (cell // 3 + 0.5) * step, 33.0, COLOURS[colour])


if __name__ == "__main__":
    main()
