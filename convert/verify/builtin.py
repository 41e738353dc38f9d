"""The built-in prompts: small, varied, written for this program and licensed as it is.

Every conversation ends with the assistant's answer, so that likelihoods are measured where a model would speak.
Texts in several languages, code, rendered documents, charts and scenes, two pictures, a video, tools, reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from convert.verify import drawing

Json = Any  # messages and tools, checked in edge.prompt.text.messages

_WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Return today's weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def builtin_conversations() -> Iterator[dict[str, Json]]:
    """Yield conversations in the form of the prompt file: name, kind, messages and, for one kind, tools."""
    yield from _texts()
    yield from _pictures()
    yield from _several_pictures()
    yield _video()
    yield _tools()
    yield from _reasoning()


def _texts() -> Iterator[dict[str, Json]]:
    pairs = {
        "english": (
            "Explain in three sentences why the sky is blue.",
            "Sunlight is a mixture of all colours. Air scatters short waves much more strongly than long ones, so blue "
            "light reaches us from everywhere. At sunset the light has come a longer way, and what is left is red.",
        ),
        "german": (
            "Warum schwimmt Eis auf Wasser?",
            "Beim Gefrieren ordnen sich die Wassermoleküle zu einem weiten Gitter. Deshalb ist Eis leichter als "
            "flüssiges Wasser, und es schwimmt.",
        ),
        "chinese": (
            "请用两句话介绍茶的制作过程。",
            "采下的茶叶先萎凋、杀青,再经过揉捻和干燥。不同的发酵程度造就了绿茶、乌龙茶和红茶。",
        ),
        "spanish": (
            "Resume la receta de la tortilla de patatas.",
            "Se fríen despacio las patatas y la cebolla en aceite de oliva, se mezclan con huevos batidos y se cuaja "
            "todo en la sartén por los dos lados.",
        ),
        "code": (
            "Write a Python function that returns the longest common prefix of a list of strings.",
            "```python\ndef common_prefix(words: list[str]) -> str:\n    if not words:\n        return ''\n    first"
            ", last = min(words), max(words)\n    for index, letter in enumerate(first):\n        if letter"
            " != last[index]:\n            return first[:index]\n    return first\n```",
        ),
    }
    for name, (question, answer) in pairs.items():
        yield _conversation(f"text-{name}", "text", [{"role": "user", "content": question}], answer)


def _pictures() -> Iterator[dict[str, Json]]:
    lines = ("3 notebooks        7.50", "1 fountain pen    24.00", "2 bottles of ink   9.80", "Total             41.30")
    invoice = drawing.document(lines, title="Invoice 2041")
    chart = drawing.bar_chart({"Mon": 12, "Tue": 30, "Wed": 21, "Thu": 8}, title="Visitors")
    curve = drawing.line_chart((3, 5, 4, 8, 13, 11), title="Orders per month")
    scene = drawing.landscape()
    yield _asked("image-document", [invoice], "What is the total of this invoice?", "The total is 41.30.")
    yield _asked(
        "image-chart",
        [chart],
        "Which day had most visitors, and how many?",
        "Tuesday had most visitors, with 30 people.",
    )
    yield _asked(
        "image-curve",
        [curve],
        "Describe the curve.",
        "Orders rise from 3 to a peak of 13 in month five, then fall to 11.",
    )
    yield _asked(
        "image-scene",
        [scene],
        "What do you see?",
        "A house with a red roof stands on a green meadow, with three trees beside it and a yellow sun in a blue sky.",
    )


def _several_pictures() -> Iterator[dict[str, Json]]:
    before, after = drawing.landscape(trees=3), drawing.landscape(trees=2, sun="red")
    yield _asked(
        "images-difference",
        [before, after],
        "What changed from the first picture to the second?",
        "One of the three trees is gone, and the sun has turned from yellow to red.",
        kind="images",
    )
    left = drawing.shapes(("red", "circle"), ("blue", "square"))
    right = drawing.shapes(("green", "triangle"), ("blue", "square"), ("yellow", "circle"))
    yield _asked(
        "images-shapes",
        [left, right],
        "Which shape is in both pictures?",
        "The blue square is in both pictures.",
        kind="images",
    )


def _video() -> dict[str, Json]:
    clip = {"type": "video", "video": drawing.rolling_ball(), "frame_rate": 2.0}
    question = {"type": "text", "text": "What happens in this video?"}
    answer = "A ball rolls from left to right along the floor; half way it turns from blue to red."
    return _conversation("video-ball", "video", [{"role": "user", "content": [clip, question]}], answer)


def _tools() -> dict[str, Json]:
    call = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Lisbon"}}}
    messages: list[Json] = [
        {"role": "user", "content": "Do I need an umbrella in Lisbon today?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": '{"weather": "rain", "temperature": 14}'},
    ]
    item = _conversation("tools-weather", "tools", messages, "Yes, take one: it rains in Lisbon today, at 14 degrees.")
    return item | {"tools": [_WEATHER_TOOL]}


def _reasoning() -> Iterator[dict[str, Json]]:
    yield _conversation(
        "reasoning-trains",
        "reasoning",
        [
            {
                "role": "user",
                "content": "Two trains 180 km apart drive towards each other at 50 and 70 km/h. When do they meet?",
            }
        ],
        "<think>\nTogether they close 50 + 70 = 120 km each hour. 180 / 120 = 1.5 hours.\n</think>\n\n"
        "They meet after one and a half hours.",
    )
    picture = drawing.bar_chart({"A": 6, "B": 9, "C": 15}, title="Boxes in stock")
    yield _asked(
        "reasoning-chart",
        [picture],
        "How many boxes are there in all, without B?",
        "<think>\nThe bars show A = 6, B = 9, C = 15. Without B that is 6 + 15 = 21.\n</think>\n\n21 boxes.",
        kind="reasoning",
    )


def _asked(
    name: str, pictures: list[drawing.Picture], question: str, answer: str, *, kind: str = "image"
) -> dict[str, Json]:
    content: list[Json] = [{"type": "image", "image": picture} for picture in pictures]
    return _conversation(
        name, kind, [{"role": "user", "content": [*content, {"type": "text", "text": question}]}], answer
    )


def _conversation(name: str, kind: str, messages: list[Json], answer: str) -> dict[str, Json]:
    return {"name": name, "kind": kind, "messages": [*messages, {"role": "assistant", "content": answer}]}
