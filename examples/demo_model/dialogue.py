"""Tool calls and small talk: offered tools, questions that need one, and the text-only things the model can say.

In: a seeded `random.Random`. Out: OpenAI tool definitions and `Question`s whose answer may be a Hermes tool call.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any  # JSON schemas have no narrower type

from . import tasks
from .asked.wordings import choice
from .scenes import Scene
from .talks import further
from .tasks import Question, plural

Tool = dict[str, Any]


def declare(name: str, description: str, /, **properties: str) -> Tool:
    """Declare a tool in OpenAI's form; `properties` name each parameter's JSON type."""
    fields = {key: {"type": kind} for key, kind in properties.items()}
    parameters = {"type": "object", "properties": fields, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = {
    "get_weather": declare("get_weather", "Get the weather of a city", city="string"),
    "get_time": declare("get_time", "Get the time in a city", city="string"),
    "set_timer": declare("set_timer", "Set a timer", minutes="integer"),
    "send_message": declare("send_message", "Send a message", to="string", text="string"),
    "save_note": declare("save_note", "Save the text of the picture", text="string"),
    "record_count": declare("record_count", "Record a count", label="string", count="integer"),
}
CITIES = (
    "Paris", "London", "Berlin", "Rome", "Madrid", "Tokyo", "Oslo", "Vienna", "Prague", "Lisbon", "Dublin", "Athens",
    "Cairo", "Delhi", "Boston", "Chicago", "Sydney", "Zurich", "Warsaw", "Seoul",
)  # fmt: skip
PEOPLE = ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Hugo", "Lena", "Max", "Nina", "Tom")
MESSAGES = (
    "I am late", "see you soon", "call me", "good morning", "the food is here", "thank you", "I am at home",
    "wait for me", "happy birthday", "where are you",
)  # fmt: skip
ASK = {
    "get_weather": ("What is the weather in {city}?", "How is the weather in {city}?", "Tell me the weather in {city}.",
                    "Is it raining in {city}?"),
    "get_time": ("What time is it in {city}?", "Tell me the time in {city}.", "How late is it in {city}?"),
    "set_timer": ("Set a timer for {minutes} minutes.", "Start a timer of {minutes} minutes.",
                  "Please set a timer for {minutes} minutes."),
    "send_message": ("Send a message to {to}: {text}", "Write to {to}: {text}", "Tell {to} this: {text}"),
    "save_note": ("Save the text of the picture.", "Save the text as a note.", "Make a note of what the sign says."),
    "record_count": ("Record the number of {labels}.", "Count the {labels} and record it.",
                     "Record how many {labels} there are."),
}  # fmt: skip
CANNOT = "I cannot do that. I am a tiny demo model and only know simple pictures."
TALK = {
    "I am a tiny demo model of this project, trained on simple rendered pictures.": (
        "Who are you?", "What are you?", "Are you a real model?", "Tell me about you.", "What is your name?"),
    "I can describe shapes, count them, read short words, give boxes, compare pictures and call tools.": (
        "What can you do?", "How can you help me?", "Help.", "What are you good at?", "What can I ask?"),
    "Hello! Show me a picture.": ("Hello!", "Hi", "Hello", "Good morning!", "Hey"),
    "You are welcome.": ("Thank you.", "Thanks!", "Thank you very much."),
    "Goodbye!": ("Bye", "Goodbye!", "See you."),
    CANNOT: (
        "Write a poem.", "Tell me a story.", "What is the capital of France?", "Who won the game?", "Write a program.",
        "What is the meaning of life?", "Translate this.", "How old is the sun?", "Tell me a joke.", "What is 12 + 30?",
        "Who is the president?", "Explain physics.", "Write an email.", "Sing a song.", "Why is the sky blue?"),
    "I see no picture. Please show me one.": (
        "What is in this picture?", "Describe the picture.", "How many circles are there?", "What does the sign say?",
        "Where is the red circle?", "What do you see?", "Read the text."),
}  # fmt: skip
NO_CALL = "No call."
ONE_CALL, TWO_CALLS = "One call.", "Two calls."
NO_PICTURE = "I see no picture. Please show me one."


def call_text(name: str, arguments: dict[str, str | int]) -> str:
    """Write a call exactly as the chat template writes it."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'


def call_thought(names: Iterable[str], tool: Tool, *, calls: str = ONE_CALL) -> str:
    """Write the thought before a first call: the tools on offer, how many calls it takes, and the first of them.

    Args:
        names: Tools on offer, in their order.
        tool: The tool to call.
        calls: How many calls the question takes.
    """
    return f"Tools: {', '.join(names)}. {calls} {next_call(tool)}"


def next_call(tool: Tool) -> str:
    """Write the end of the thought before a call: the tool and its parameters."""
    function = tool["function"]
    return f"I call {function['name']} with {', '.join(function['parameters']['properties'])}."


def text_call(rng: random.Random, name: str, names: list[str]) -> tuple[Question, dict[str, str | int]]:
    """Ask for a tool whose arguments stand in the question.

    Args:
        rng: Source of chance.
        name: The tool.
        names: Tools on offer.

    Returns:
        The question and the arguments of the right call.
    """
    arguments: dict[str, str | int]
    if name in ("get_weather", "get_time"):
        arguments = {"city": rng.choice(CITIES)}
    elif name == "set_timer":
        arguments = {"minutes": rng.randint(2, 90)}
    else:
        arguments = {"to": rng.choice(PEOPLE), "text": rng.choice(MESSAGES)}
    thought = call_thought(names, TOOLS[name])
    question = Question("tool", rng.choice(ASK[name]).format(**arguments), thought, call_text(name, arguments))
    return question, arguments


def picture_call(rng: random.Random, scene: Scene) -> Question:
    """Ask for a tool whose arguments stand in the picture."""
    if scene.sign is not None:
        call = call_text("save_note", {"text": scene.sign.text})
        return Question(
            "tool_picture", choice(rng, ASK["save_note"], further.SAVE_NOTE), tasks.sign_thought(scene), call
        )
    shape = rng.choice(scene.things).shape
    found = [thing for thing in scene.things if thing.shape == shape]
    many = plural(shape)
    call = call_text("record_count", {"label": shape, "count": len(found)})
    thought = tasks.counting(scene, found, shape)
    return Question(
        "tool_picture", choice(rng, ASK["record_count"], further.RECORD_COUNT).format(labels=many), thought, call
    )


def missing_tool(rng: random.Random, name: str, names: list[str]) -> Question:
    """Ask for a tool that is not among those on offer, `names`."""
    question, _ = text_call(rng, name, names)
    return Question("no_tool", question.text, f"Tools: {', '.join(names)}. {NO_CALL}", "I have no tool for that.")


def tool_result(rng: random.Random, name: str, arguments: dict[str, str | int]) -> tuple[str, Question]:
    """Make a tool's result and the answer that follows it."""
    if name == "get_weather":
        sky, degrees = rng.choice(("sunny", "cloudy", "rainy", "windy")), rng.randint(2, 35)
        result = json.dumps({"temperature": degrees, "sky": sky})
        answer = f"It is {sky} in {arguments['city']}, {degrees} degrees."
    elif name == "get_time":
        clock = f"{rng.randint(1, 23)}:{rng.randint(10, 59)}"
        result, answer = json.dumps({"time": clock}), f"It is {clock} in {arguments['city']}."
    else:
        result, answer = json.dumps({"ok": True}), "Done."
    return result, Question("tool_result", "", "I have the result.", answer)


def small_talk(rng: random.Random, *, has_picture: bool) -> Question:
    """Ask a text-only question; one about a picture only where none is shown."""
    answers = [answer for answer in TALK if not (has_picture and answer == NO_PICTURE)]
    answer = rng.choice(answers)
    return Question("talk", choice(rng, TALK[answer], further.TALK.get(answer, ())), "I answer in words.", answer)


def offered(rng: random.Random, names: list[str], *, most: int = 3) -> list[str]:
    """Choose the tools on offer: all of `names` and perhaps others, in any order."""
    others = [name for name in TOOLS if name not in names]
    chosen = names + rng.sample(others, rng.randint(0, max(0, most - len(names))))
    rng.shuffle(chosen)
    return chosen
