"""Sources: where model cards come from; one file for each library."""
