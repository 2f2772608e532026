"""The worker loop: who works on a study, and what happens when a worker dies."""

from optuna_de.worker.optimize import StudyDeletedError, TooManyFailuresError, optimize
from optuna_de.worker.signals import GiveBack, stop_requested

__all__ = [
    "GiveBack",
    "StudyDeletedError",
    "TooManyFailuresError",
    "optimize",
    "stop_requested",
]
