"""Benchmarks of whole fits: time in, trained networks out."""
