"""Where model cards come from: one file per source."""
