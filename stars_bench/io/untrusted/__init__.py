"""Files that may come from anybody: read as data, never run."""
