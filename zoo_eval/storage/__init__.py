"""Storage: a folder or a bucket as named bytes; what the ledger and the manifest say of them."""
