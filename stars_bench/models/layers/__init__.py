"""Networks, heads and objectives that several methods share."""
