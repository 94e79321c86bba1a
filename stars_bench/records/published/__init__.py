"""Published numbers: what a row of published.csv is, and which of them stand beside a measured number."""
