"""Readouts: how a layer is compared with a recording; one file for each."""
