"""Let the model call Python functions until it has its answer.

$ python examples/tool_loop.py "What is the weather in Paris?"
get_weather({"city": "Paris"})
It is sunny in Paris, 21 degrees.
"""

from __future__ import annotations

import json
import sys

import edge


def get_weather(city: str) -> dict[str, int | str]:
    """Get the weather of a city.

    Args:
        city: Its name.
    """
    return {"temperature": 21, "sky": "sunny"}


def get_time(city: str) -> dict[str, str]:
    """Get the time in a city.

    Args:
        city: Its name.
    """
    return {"time": "14:30"}


FUNCTIONS = {function.__name__: function for function in (get_weather, get_time)}


def carry_out(call: edge.ToolCall) -> object:
    """Run a call; what went wrong is told to the model too."""
    print(f"{call.name}({call.arguments})")
    try:
        return FUNCTIONS[call.name](**json.loads(call.arguments))
    except (KeyError, TypeError) as error:
        return {"error": str(error)}


def main(question: str) -> None:
    """Ask, and go on as long as the answer asks for calls; five rounds at most."""
    with edge.load() as engine:
        chat = engine.chat(tools=[edge.tool_from_function(function) for function in FUNCTIONS.values()])
        answer = chat.ask(question)
        for _ in range(5):
            if not answer.tool_calls:
                break
            answer = chat.give_results([(call, carry_out(call)) for call in answer.tool_calls])
    print(answer.text)


if __name__ == "__main__":
    main(sys.argv[1])
