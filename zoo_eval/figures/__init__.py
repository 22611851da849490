"""Figures as specifications: one for the report, the explorer and print."""
