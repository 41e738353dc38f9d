"""`python -m edge.server`: one local server for several protocols."""
