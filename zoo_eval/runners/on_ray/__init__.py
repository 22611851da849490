"""The one place that imports Ray: joining or starting it, slots as its actors, the runner."""
