"""`python -m convert calibrate`: what a model's matrices see and how much each one matters, kept for conversions."""
