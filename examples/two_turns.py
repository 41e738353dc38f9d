"""Ask twice about one picture: the second turn computes its own tokens only, and the picture is seen once.

$ python examples/two_turns.py examples/images/scene.png
There is 1 circle. (34 tokens in the prompt, 0 cached, pictures seen: 1)
The red circle is at the top left. (56 tokens in the prompt, 32 cached, pictures seen: 0)
"""

from __future__ import annotations

import sys

import edge


def show(answer: edge.Answer) -> None:
    """Print an answer and what it cost."""
    usage = answer.usage
    print(
        f"{answer.text} ({usage.prompt_tokens} tokens in the prompt, {usage.cached_tokens} cached, "
        f"pictures seen: {usage.vision_runs})"
    )


def main(picture: str) -> None:
    """Keep the messages in a conversation."""
    with edge.load() as engine:
        chat = engine.chat()
        show(chat.ask("How many circles are there?", images=[picture]))
        show(chat.ask("Where is the red circle?"))


if __name__ == "__main__":
    main(sys.argv[1])
