"""Get typed data with OpenAI's Python client: `python examples/clients/openai_typed.py PICTURE QUESTION`."""

import base64
import os
import sys
from pathlib import Path
from typing import Literal

import openai
import pydantic

picture, question = sys.argv[1:3]
data = base64.b64encode(Path(picture).read_bytes()).decode()
url = os.environ.get("EDGE_URL", "http://127.0.0.1:8080")


class Sign(pydantic.BaseModel):
    """What a sign says. Literals and lengths keep a small model short."""

    text: Literal["APPLE", "BREAD", "CAFE", "HOTEL"]


with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
    response = client.responses.parse(
        model="demo",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"},
                    {"type": "input_text", "text": question},
                ],
            }
        ],
        text_format=Sign,
    )
print(repr(response.output_parsed))
