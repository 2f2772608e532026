"""Benchmarks of prices that a device sets: predictions, fronts, quantisation."""
