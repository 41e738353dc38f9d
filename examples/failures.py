"""Show a user what went wrong: every failure is an `edge.EdgeError` with one line; some can be mended by the program.

$ python examples/failures.py examples/images/scene.png
There is no such picture: nowhere.png: file not found. Check the path.
The schema is too much: schema: expected keywords that can be enforced, found 'uniqueItems' at the top. Remove it, or
start its name with x- if it is only a note.
Cut off: Expected whole JSON, found an answer that ended by 'length' after 12 tokens. Raise max_tokens, or bound the
schema (maxItems, maxLength, additionalProperties: false).
Left out 2 old turns.
There is 1 circle.
"""

from __future__ import annotations

import sys
from typing import Any

import edge

COUNT = "How many circles are there?"


def ask_shortened(engine: edge.Engine, messages: list[Any]) -> edge.Answer:
    """Answer the last message; leave out the oldest turns while the talk is too long."""
    for first in range(0, len(messages), 2):
        try:
            answer = engine.answer(edge.Request(messages=messages[first:]))
        except edge.ContextLengthError:
            continue
        print(f"Left out {first // 2} old turns.")
        return answer
    raise edge.ContextLengthError("The last question alone is too long. Shorten it.")


def main(picture: str) -> None:
    """Fail in four ways."""
    with edge.load() as engine:
        try:
            engine.ask(COUNT, images=["nowhere.png"])
        except edge.MediaError as error:
            print("There is no such picture:", error)
        try:
            engine.ask(COUNT, images=[picture], schema={"type": "array", "uniqueItems": True})
        except edge.RequestError as error:
            print("The schema is too much:", error)
        try:
            engine.ask(COUNT, images=[picture], schema={"type": "array"}, max_tokens=12).json()
        except edge.AnswerError as error:
            print("Cut off:", error)
        old = [edge.user_message("word " * 9000), {"role": "assistant", "content": "Yes."}]
        print(ask_shortened(engine, [*old, *old, edge.user_message(COUNT, images=[picture])]).text)


if __name__ == "__main__":
    main(sys.argv[1])
