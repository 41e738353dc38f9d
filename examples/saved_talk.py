"""Save a talk, and go on with it in another process, which computes only what is new.

$ python examples/saved_talk.py talk.json "How many circles are there?" examples/images/scene.png
There is 1 circle.
$ python examples/saved_talk.py talk.json "Where is the red circle?"
The red circle is at the top left.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import edge


def main(talk: Path, question: str, pictures: list[Path]) -> None:
    """Read what was said, ask, and write all down."""
    before = json.loads(talk.read_text(encoding="utf-8")) if talk.exists() else []
    limits = edge.EngineLimits(keep_folder=talk.with_suffix(".kept"))  # finished turns: a cache, it may be deleted
    with edge.load(limits=limits) as engine:
        chat = engine.chat(messages=before)
        # Messages with paths or data URLs are JSON; whole paths are found from any folder.
        answer = chat.ask(question, images=[picture.resolve() for picture in pictures])
        talk.write_text(json.dumps(chat.messages, ensure_ascii=False, indent=1), encoding="utf-8")
    print(answer.text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [Path(name) for name in sys.argv[3:]])
