"""Records, run folders, predictions, metrics and published numbers."""
