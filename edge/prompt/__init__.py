"""Messages and media to a model-ready prompt."""
