"""Bits under a budget: a format for every tensor, so that the files take so many bytes and lose as little as can be."""
