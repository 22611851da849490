"""Runners: the same work in a plain loop or on Ray."""
