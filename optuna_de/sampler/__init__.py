"""The Optuna sampler: how a history becomes the next trial."""

from optuna_de.sampler.plan import PLAN_KEY, Candidate, Plan
from optuna_de.sampler.sampler import DESampler
from optuna_de.sampler.space import Prices, Space

__all__ = ["PLAN_KEY", "Candidate", "DESampler", "Plan", "Prices", "Space"]
