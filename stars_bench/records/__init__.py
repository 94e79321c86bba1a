"""Records, run folders, predictions and metrics."""
