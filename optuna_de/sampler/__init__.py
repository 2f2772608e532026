"""The Optuna sampler: how a history becomes the next trial."""

from optuna_de.sampler.plan import PLAN_KEY, Plan
from optuna_de.sampler.sampler import DESampler

__all__ = ["PLAN_KEY", "DESampler", "Plan"]
