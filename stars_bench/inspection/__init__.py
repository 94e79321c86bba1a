"""Descriptions of a raw file, a dataset, a run and this machine."""
