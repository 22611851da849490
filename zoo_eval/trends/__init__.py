"""Trends: statistics over models."""
