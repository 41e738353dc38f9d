"""Ask a running server with OpenAI's Python client: `python examples/clients/openai_client.py PICTURE QUESTION`."""

import base64
import os
import sys
from pathlib import Path

import openai

picture, question = sys.argv[1:3]
data = base64.b64encode(Path(picture).read_bytes()).decode()
url = os.environ.get("EDGE_URL", "http://127.0.0.1:8080")
with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
    stream = client.chat.completions.create(
        model="demo",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
                    {"type": "text", "text": question},
                ],
            }
        ],
        stream=True,
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
print()
