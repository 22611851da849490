"""The way in from Python: what there is in a store, and sweeps of what exists as objects."""
