"""Names as data: which stored tensor becomes which parameter, and through which operations."""
