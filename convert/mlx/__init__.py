"""`python -m convert mlx`: plan, quantize and write an MLX folder, one tensor at a time."""
