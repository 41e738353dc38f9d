"""Qwen3-VL in pure MLX: parameters and mathematics, no state."""
