"""Sweep: from a file to what is to be run."""
