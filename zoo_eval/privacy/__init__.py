"""Privacy: what may be shown of an address, who may read a file, and that a path stays where it belongs."""
