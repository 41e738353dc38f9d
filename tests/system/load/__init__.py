"""Load on a running server: many kinds of requests, clients that vanish, and what it did to answers and memory."""
