"""Chaos: sweeps on several nodes, killed, stopped and cut off at random; the tables must not show it."""
