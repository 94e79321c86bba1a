"""Protocols, one file each: from the table of clips to training and test rows."""
