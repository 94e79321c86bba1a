"""The functions behind `stars_bench.run`, `evaluate` and `load_encoder`, and what they return."""
