"""How numbers are computed: compiled, deterministic, and checked for NaN."""
