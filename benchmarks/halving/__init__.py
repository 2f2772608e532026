"""Benchmarks of early stopping: recorded curves replayed, and real searches."""
