"""What a checkpoint needs and where it runs: `python -m edge.plan`, and the arithmetic behind it."""
