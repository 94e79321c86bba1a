"""Intervals and tests by person and performance, from arrays of hits."""
