"""What long jobs survive: kills at any moment, two at once, stops, full disks, folders that cannot be written."""
