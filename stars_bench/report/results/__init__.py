"""Which records and published numbers stand in one table, and what is said about them."""
