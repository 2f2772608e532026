"""OptunaHub's view of the package: ``optunahub.load_module("samplers/optuna_de").DESampler``."""

from optuna_de import DESampler
from optuna_de import SequenceSpace


__all__ = ["DESampler", "SequenceSpace"]
