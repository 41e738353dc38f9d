"""Let the model call a function, with OpenAI's Python client: `python examples/clients/openai_tools.py QUESTION`."""

import json
import os
import sys

import openai
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Its name."}},
            "required": ["city"],
        },
    },
}


def get_weather(city: str) -> dict[str, object]:
    """Stand for a real weather service."""
    return {"temperature": 21, "sky": "sunny"}


url = os.environ.get("EDGE_URL", "http://127.0.0.1:8080")
messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": sys.argv[1]}]
with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
    for _ in range(5):
        message = client.chat.completions.create(model="demo", messages=messages, tools=[TOOL]).choices[0].message
        messages.append(message.to_dict())  # type: ignore[arg-type]  # a dict of this very shape
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            if call.type == "function":
                result = json.dumps(get_weather(**json.loads(call.function.arguments)))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
print(message.content)
