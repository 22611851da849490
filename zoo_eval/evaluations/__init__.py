"""Evaluations: what is done to an open model; one file for each."""
