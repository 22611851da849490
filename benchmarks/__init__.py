"""Side-by-side measurements, and the data that the repository ships: `python -m benchmarks.NAME`."""
