"""`python -m edge.bench`: measure a checkpoint on this machine, and count what a token costs."""
