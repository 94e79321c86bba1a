"""The movements of the synthetic dataset."""
