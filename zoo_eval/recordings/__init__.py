"""Recordings: what was measured while stimuli were shown; one file for each format."""
