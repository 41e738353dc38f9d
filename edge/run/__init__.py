"""One model thread: requests become rows that are prefilled and decoded together."""
