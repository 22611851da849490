"""Harmonizer: networks trained to look where people look, beside their controls."""
