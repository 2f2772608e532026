"""Benchmarks of shared studies: killed workers, many workers, memory and storage cost."""
