"""Kinds of files that hold RDMs: one file for each, told by the suffix."""
