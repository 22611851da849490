"""Mathematics: arrays in, arrays out; nothing here knows of files, Ray or tables."""
