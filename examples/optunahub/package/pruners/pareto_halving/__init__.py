"""OptunaHub's view of early stopping: ``load_module("pruners/pareto_halving").Halving``."""

from optuna_de import Halving


__all__ = ["Halving"]
