"""Importance: where people look in each image; one file for each format."""
