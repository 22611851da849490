"""Stimuli: images with ids, labels and groups; one file for each way that users hold them."""
