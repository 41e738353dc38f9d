"""Find the second of a video at which something appears. Video files need the extra `video`.

$ python examples/moment.py examples/video/appear.mp4 "red star"
second 3
"""

from __future__ import annotations

import re
import sys

import edge


def find_moment(engine: edge.Engine, video: str, thing: str) -> int | None:
    """Return the second at which a thing appears; None if the answer names none."""
    clip = edge.Video(video, edge.VideoOptions(fps=2, max_frames=60))
    answer = engine.ask(f"When does the {thing} appear?", videos=[clip])
    found = re.search(r"second (\d+)", answer.text)
    return int(found[1]) if found else None


if __name__ == "__main__":
    with edge.load() as engine:
        second = find_moment(engine, sys.argv[1], sys.argv[2])
    print("not seen" if second is None else f"second {second}")
