"""Make MLX and GGUF files from Qwen3-VL checkpoints, and verify them."""
