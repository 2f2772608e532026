"""Benchmarks of imports and of commands that do nothing."""
