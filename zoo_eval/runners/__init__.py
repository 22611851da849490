"""Runners: the same orders in a plain loop or on Ray."""
