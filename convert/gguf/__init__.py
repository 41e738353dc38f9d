"""`python -m convert gguf`: write a checkpoint as llama.cpp's two files in one pass."""
