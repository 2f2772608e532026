"""Measurements of the sampler and the application; each module is one command."""
