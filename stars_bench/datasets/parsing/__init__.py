"""Parsers of the text formats of NTU RGB+D and PKU-MMD."""
