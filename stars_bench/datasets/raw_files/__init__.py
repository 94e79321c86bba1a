"""Raw files, read in place: folders and zip, 7z and tar archives."""
