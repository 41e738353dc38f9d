"""What lines that begin with a slash do."""
