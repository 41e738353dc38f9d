"""What people ask first about one picture, each question with several wordings, some of them kept for testing."""
