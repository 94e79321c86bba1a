"""Checkpoint files of the official programs: reading, writing, and what they say of themselves."""
