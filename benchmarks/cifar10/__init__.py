"""Benchmarks on CIFAR-10: a search with its final trainings, and searches at equal cost."""
