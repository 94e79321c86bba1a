"""Datasets, one file each: how raw files are found, parsed and cleaned."""
