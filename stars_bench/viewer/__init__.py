"""Skeletons as pages, animations and pictures."""
