"""Runs for others: packs (out and in), and a site of verified results. Nothing of the data goes out."""
