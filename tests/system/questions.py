"""What the tests of programs ask, and what the demo answers."""

from __future__ import annotations

from pathlib import Path

IMAGES = Path(__file__).resolve().parents[2] / "examples" / "images"
SCENE = IMAGES / "scene.png"
DESCRIBE = "What is in this picture?"
DESCRIBED = (
    "I see a red circle at the top left, a yellow star at the top right, a blue square in the center "
    "and a green triangle at the bottom left."
)
FIND = "Where is the red circle? Answer with bbox_2d JSON."
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "green", "blue"]}, "count": {"enum": [1, 2, 3]}},
    "required": ["color", "count"],
    "additionalProperties": False,
}
ASK_WEATHER = {"role": "user", "content": "What is the weather in Paris?"}
