"""Stages, the training loop, checkpoints and several processes, for any tensors."""
