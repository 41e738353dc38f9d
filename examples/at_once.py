"""Ask about several pictures at once in an asyncio program, such as a bot or a web server, each with a time limit.

$ python examples/at_once.py examples/images/sign.png examples/images/receipt.png nowhere.png
sign.png: I see the text "APPLE" in purple.
receipt.png: I see the text "CAFE" in purple.
nowhere.png: file not found. Check the path.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import edge

SECONDS = 60


async def describe(engine: edge.Engine, path: Path) -> str:
    """Return one line; the end of the time limit cancels the answer and frees its place."""
    request = edge.Request(messages=[edge.user_message("What is in this picture?", images=[path])])
    try:
        async with asyncio.timeout(SECONDS):
            answer = await engine.aanswer(request)
    except TimeoutError:
        return f"{path.name}: no answer within {SECONDS} seconds"
    except edge.EdgeError as error:
        return str(error)  # one line, fit to show
    return f"{path.name}: {answer.text}"


async def main(paths: list[Path]) -> None:
    """Load once, off the loop; requests that run at the same time are decoded together."""
    engine = await asyncio.to_thread(edge.load)
    try:
        for line in await asyncio.gather(*(describe(engine, path) for path in paths)):
            print(line)
    finally:
        await asyncio.to_thread(engine.close)


if __name__ == "__main__":
    asyncio.run(main([Path(name) for name in sys.argv[1:]]))
