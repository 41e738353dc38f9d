"""Ask a running server with Anthropic's client: `python examples/clients/anthropic_client.py PICTURE QUESTION`."""

import base64
import os
import sys
from pathlib import Path

import anthropic

picture, question = sys.argv[1:3]
data = base64.b64encode(Path(picture).read_bytes()).decode()
url = os.environ.get("EDGE_URL", "http://127.0.0.1:8080")
with (
    anthropic.Anthropic(base_url=url, api_key="none") as client,
    client.messages.stream(
        model="demo",
        max_tokens=500,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
                    {"type": "text", "text": question},
                ],
            }
        ],
    ) as stream,
):
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
