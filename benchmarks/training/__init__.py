"""Benchmarks of training: images per second, precision and error at equal epochs."""
