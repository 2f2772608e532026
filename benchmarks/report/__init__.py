"""Benchmarks of the report."""
