"""Turn messages into text, and text into token ids."""
