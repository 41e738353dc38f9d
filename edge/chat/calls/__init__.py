"""Tools in a talk: which there are, who lets them run, and how their results come back to the model."""
