"""Cleaning profiles, one file each: from parsed bodies to the coordinates of a clip."""
