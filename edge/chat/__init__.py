"""`python -m edge.chat`: talk with a checkpoint in the terminal."""
