"""The templates of `stars-bench new-method` and the commands beside it."""
