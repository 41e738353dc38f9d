"""Prefill, sampling and the token stream."""
