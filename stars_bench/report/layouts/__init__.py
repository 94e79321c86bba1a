"""How numbers are laid out: the file of `report --table`, the standard layouts, and a table filled from either."""
