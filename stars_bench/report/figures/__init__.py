"""Figures: maps of features, and accuracy against cost."""
