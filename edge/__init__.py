"""Run Qwen3-VL checkpoints on one computer, offline."""
