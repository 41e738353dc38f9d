"""GGML's block types: decoded to floats, or moved into MLX's packed forms."""
