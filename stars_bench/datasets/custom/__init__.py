"""Datasets that a TOML file describes."""
