"""Weights: how bytes get here, are kept, and become a network's tensors."""
