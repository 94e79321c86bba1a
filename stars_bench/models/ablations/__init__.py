"""The comparison rows of the STARS paper."""
