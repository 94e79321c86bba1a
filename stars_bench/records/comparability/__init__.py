"""Which results may stand side by side, and what differs between the others."""
