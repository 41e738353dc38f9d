"""Writing to a terminal or a pipe, and reading lines from a terminal."""
