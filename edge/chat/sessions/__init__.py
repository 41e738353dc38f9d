"""Talks on disk: saved as they go, found again, gone on with, exported."""
