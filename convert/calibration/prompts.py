"""The built-in calibration prompts: drawn and written from a seed, unlike those that `convert verify` measures on.

Documents, charts and shapes in many sizes, several pictures, video, languages, code, tools and thinking. All are made
here; a user's own conversations, where there are some, tell more about what their model will see.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from convert.calibration.texts import CODE, LANGUAGES, THINKING
from convert.verify import drawing

Json = Any  # messages and tools, checked in edge.prompt.text.messages
_SEED = 150_2026
_PICTURES, _SEVERAL, _VIDEOS, _TOOLS = 24, 8, 4, 8
_GOODS = (
    "lamp",
    "kettle",
    "rope",
    "paint",
    "brush",
    "ladder",
    "hammer",
    "plates",
    "towels",
    "seeds",
    "cable",
    "screws",
)
_PLACES = ("Oslo", "Quito", "Nairobi", "Kyoto", "Lima", "Gdansk", "Perth", "Tunis", "Riga", "Bergen", "Cusco", "Hobart")
_FORMS = ("circle", "square", "triangle")
_FUNCTIONS = {
    "book_table": ("Book a table in a restaurant.", ("place", "guests")),
    "convert_money": ("Convert an amount between two currencies.", ("amount", "currency")),
    "find_train": ("Find the next train between two towns.", ("start", "end")),
    "add_reminder": ("Remind the user of something at a time.", ("text", "time")),
}


def builtin_prompts() -> Iterator[dict[str, Json]]:
    """Yield conversations in the form of the prompt file; each ends with the assistant's answer."""
    rng = random.Random(_SEED)
    for kind, pairs in (("text", LANGUAGES), ("code", CODE), ("reasoning", THINKING)):
        for number, (question, answer) in enumerate(pairs):
            yield _item(f"{kind}-{number}", kind, [{"role": "user", "content": question}], answer)
    for number in range(_PICTURES):
        picture, question, answer = rng.choice((_receipt, _bars, _curve, _row_of_shapes))(rng)
        yield _item(f"image-{number}", "image", [_seen([picture], question)], answer)
    for number in range(_SEVERAL):
        first, second = _row_of_shapes(rng), rng.choice((_bars, _receipt))(rng)
        question = "Say in one sentence each what the pictures show."
        answer = f"First picture: {first[2]} Second picture: {second[2]}"
        yield _item(f"images-{number}", "images", [_seen([first[0], second[0]], question)], answer)
    for number in range(_VIDEOS):
        yield _video(rng, number)
    for number in range(_TOOLS):
        yield _call(rng, number)


def _receipt(rng: random.Random) -> tuple[drawing.Picture, str, str]:
    goods = rng.sample(_GOODS, rng.randrange(3, 8))
    prices = [rng.randrange(120, 9900) / 100 for _ in goods]
    lines = [f"{rng.randrange(1, 9)} x {name:12} {price:8.2f}" for name, price in zip(goods, prices, strict=True)]
    width, height = rng.choice(((320, 416), (512, 384), (640, 448), (448, 576)))
    place = rng.choice(_PLACES)
    picture = drawing.document(tuple(lines), title=f"Hardware {place}", width=width, height=height)
    if rng.random() < 0.5:
        return picture, "Transcribe this receipt.", f"Hardware {place}\n" + "\n".join(lines)
    dearest = max(zip(prices, goods, strict=True))
    return picture, "Which line has the highest price?", f"The {dearest[1]}, with {dearest[0]:.2f}."


def _bars(rng: random.Random) -> tuple[drawing.Picture, str, str]:
    places = rng.sample(_PLACES, rng.randrange(3, 6))
    values = {place[:5]: rng.randrange(2, 95) for place in places}
    title = rng.choice(("Rainy days", "Ferries a week", "Libraries", "Bridges"))
    picture = drawing.bar_chart(values, title=title, width=rng.choice((384, 480, 576)), height=rng.choice((256, 352)))
    if rng.random() < 0.5:
        return picture, "Give the values as JSON.", json.dumps(values)
    order = sorted(values, key=values.__getitem__, reverse=True)
    return picture, f"{title}: order the bars from high to low.", ", ".join(order) + "."


def _curve(rng: random.Random) -> tuple[drawing.Picture, str, str]:
    points = tuple(rng.randrange(1, 30) for _ in range(rng.randrange(5, 10)))
    picture = drawing.line_chart(points, title="Litres per hour", width=rng.choice((320, 512)), height=288)
    high, low = points.index(max(points)) + 1, points.index(min(points)) + 1
    answer = f"The line is highest at point {high} and lowest at point {low}."
    return picture, "Where are the extremes of this line?", answer


def _row_of_shapes(rng: random.Random) -> tuple[drawing.Picture, str, str]:
    items = [(rng.choice(tuple(drawing.COLOURS)), rng.choice(_FORMS)) for _ in range(rng.randrange(1, 6))]
    picture = drawing.shapes(*items, width=rng.choice((256, 416, 544)), height=rng.choice((160, 256)))
    named = ", then ".join(f"a {colour} {form}" for colour, form in items)
    return picture, "Name the figures from left to right.", f"There is {named}."


def _video(rng: random.Random, number: int) -> dict[str, Json]:
    """Shapes that appear one after another."""
    items = [(rng.choice(tuple(drawing.COLOURS)), rng.choice(_FORMS)) for _ in range(4)]
    frames = [drawing.shapes(*items[: 1 + index // 2], width=256, height=160) for index in range(8)]
    content = [
        {"type": "video", "video": frames, "frame_rate": 2.0},
        {"type": "text", "text": "Which figures come in, and in which order?"},
    ]
    named = ", ".join(f"a {colour} {form}" for colour, form in items)
    return _item(f"video-{number}", "video", [{"role": "user", "content": content}], f"In this order: {named}.")


def _call(rng: random.Random, number: int) -> dict[str, Json]:
    offered = rng.sample(tuple(_FUNCTIONS), 3)
    values = {"place": rng.choice(_PLACES), "guests": str(rng.randrange(2, 9)), "amount": str(rng.randrange(10, 900))}
    values |= {"currency": rng.choice(("NOK", "PEN", "JPY")), "start": rng.choice(_PLACES), "end": rng.choice(_PLACES)}
    values |= {"text": f"buy {rng.choice(_GOODS)}", "time": f"{rng.randrange(7, 22)}:30"}
    sentence, names = _FUNCTIONS[offered[0]]
    wanted = {name: values[name] for name in names}
    asked = f"{sentence[:-1]}: " + ", ".join(f"{name} {value}" for name, value in wanted.items()) + "."
    answer = "<tool_call>\n" + json.dumps({"name": offered[0], "arguments": wanted}) + "\n</tool_call>"
    item = _item(f"tools-{number}", "tools", [{"role": "user", "content": asked}], answer)
    return item | {"tools": [_tool(name) for name in offered]}


def _tool(name: str) -> Json:
    sentence, names = _FUNCTIONS[name]
    parameters = {"type": "object", "properties": {one: {"type": "string"} for one in names}, "required": list(names)}
    return {"type": "function", "function": {"name": name, "description": sentence, "parameters": parameters}}


def _seen(pictures: list[drawing.Picture], question: str) -> Json:
    content: list[Json] = [{"type": "image", "image": picture} for picture in pictures]
    return {"role": "user", "content": [*content, {"type": "text", "text": question}]}


def _item(name: str, kind: str, messages: list[Json], answer: str) -> dict[str, Json]:
    return {"name": name, "kind": kind, "messages": [*messages, {"role": "assistant", "content": answer}]}
