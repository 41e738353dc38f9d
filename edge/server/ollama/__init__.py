"""Ollama's protocol under /api."""
