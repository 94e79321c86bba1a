"""From raw files to prepared data: `prepare` and `verify`."""
