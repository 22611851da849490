"""Models: a card opened, with weights on a device."""
