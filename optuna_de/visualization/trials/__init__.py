"""Trials as the plots read them: which ended, when, from which parents, on which front?"""

from optuna_de.visualization.trials.ancestry import ancestors, parents, trunk
from optuna_de.visualization.trials.finished_trials import Entry, entries
from optuna_de.visualization.trials.generation_periods import Period, periods
from optuna_de.visualization.trials.hypervolume_box import Box
from optuna_de.visualization.trials.objective_plane import Plane, Point

__all__ = [
    "Box",
    "Entry",
    "Period",
    "Plane",
    "Point",
    "ancestors",
    "entries",
    "parents",
    "periods",
    "trunk",
]
