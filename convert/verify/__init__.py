"""`python -m convert verify`: the torch reference one block at a time, and candidates held against it."""
