"""`sweep`: many runs from one file, several at once, with shared stages trained once."""
