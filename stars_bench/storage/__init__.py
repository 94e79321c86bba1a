"""Prepared data on disk: shards, index and compression."""
