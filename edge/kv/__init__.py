"""What a decoder layer remembers: keys and values, plain or packed, shared prefixes, and vision results."""
