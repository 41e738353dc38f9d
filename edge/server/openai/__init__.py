"""OpenAI's protocol under /v1."""
