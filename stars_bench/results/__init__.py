"""Floor 5: what a result is (record), where it lies (store), what others published, and the tables made of both."""
