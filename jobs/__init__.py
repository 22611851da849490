"""Recipes beside the library: short programs that choose; nothing imports them."""
