"""One attack, one file; the registry names those that pass the closed-form suite."""
