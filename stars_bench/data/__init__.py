"""Clips as tensors: batches, crops, rotations, streams and random numbers."""
