"""Representations: Gram matrices of an open model's layers, within a budget of memory."""
