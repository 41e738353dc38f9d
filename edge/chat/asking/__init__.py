"""What a question is made of: text, pictures, videos and pages, wherever they come from."""
