"""Which model is meant by a name, and which ones are on this machine."""
