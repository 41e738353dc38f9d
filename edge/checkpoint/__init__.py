"""Checkpoints on disk to model parameters, and the tables of names between them."""
