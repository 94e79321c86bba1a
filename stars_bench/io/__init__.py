"""Atomic files, locks, checksums, process pools, and safe reading of pickles and torch files."""
