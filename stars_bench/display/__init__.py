"""Tables, progress bars and pages, for any data."""
