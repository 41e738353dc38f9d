"""Bytes of checkpoints as untrusted data: safetensors, GGUF, downloads."""
