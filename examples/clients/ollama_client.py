"""Ask a running server with Ollama's Python client: `python examples/clients/ollama_client.py PICTURE QUESTION`."""

import os
import sys

import ollama

picture, question = sys.argv[1:3]
with ollama.Client(host=os.environ.get("EDGE_URL", "http://127.0.0.1:8080")) as client:
    message = {"role": "user", "content": question, "images": [picture]}
    for part in client.chat("demo", [message], stream=True):
        print(part.message.content or "", end="", flush=True)
print()
