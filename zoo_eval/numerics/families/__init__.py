"""Statistics over models that come in families: errors are those of families, not of models."""
