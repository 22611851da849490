"""Explorer: a store's pages served live and read-only, and a box for SQL that has limits."""
