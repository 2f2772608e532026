"""Benchmarks of screening: its gain, its model and its cost."""
