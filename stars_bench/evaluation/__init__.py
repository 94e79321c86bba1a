"""Evaluations, one file each, and the features that they share."""
