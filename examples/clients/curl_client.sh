#!/bin/sh
# Ask a running server with curl: sh examples/clients/curl_client.sh PICTURE QUESTION
# The answer is JSON; its text lies at .choices[0].message.content.
set -eu
{
  printf '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,'
  base64 < "$1" | tr -d '\n'
  printf '"}}, {"type": "text", "text": "%s"}]}]}' "$2"
} | curl -sS -H 'Content-Type: application/json' -d @- "${EDGE_URL:-http://127.0.0.1:8080}/v1/chat/completions"
