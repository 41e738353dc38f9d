"""Anthropic's protocol under /v1/messages."""
