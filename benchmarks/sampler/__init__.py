"""Benchmarks of the sampler: regret on tables, numeric functions, many workers, its own cost."""
