"""Neural architecture search by differential evolution, as an Optuna sampler."""

from optuna_de.sampler import DESampler
from optuna_de.space import Kind, SequenceSpace

__all__ = ["DESampler", "Kind", "SequenceSpace"]
