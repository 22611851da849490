"""SQL over a store's tables; one `.sql` file per view, and duckdb imported in one place."""
