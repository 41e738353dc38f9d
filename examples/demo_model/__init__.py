"""The demo model: rendered scenes, questions about them, training, export and evaluation."""
