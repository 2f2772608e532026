"""OptunaHub's view of the package: ``optunahub.load_module("samplers/optuna_de").DESampler``."""

from optuna_de import DESampler, SequenceSpace

__all__ = ["DESampler", "SequenceSpace"]
