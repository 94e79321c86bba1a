"""Networks of the field that methods train: clips in, features out; one file each."""
