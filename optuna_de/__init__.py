"""Neural architecture search by differential evolution, as an Optuna sampler."""

from optuna_de.halving import Halving
from optuna_de.sampler import DESampler
from optuna_de.search_space import Kind, SequenceSpace
from optuna_de.storage import open_storage
from optuna_de.worker import optimize

__all__ = ["DESampler", "Halving", "Kind", "SequenceSpace", "open_storage", "optimize"]

__version__ = "0.1.0"
