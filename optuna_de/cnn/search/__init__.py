"""The search for networks: the objective, the workers and the whole search."""

from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.search.tensorboard import TensorBoardCallback
from optuna_de.cnn.search.worker_pool import default_workers, work_together
from optuna_de.cnn.search.worker_process import GAVE_BACK, work

__all__ = [
    "GAVE_BACK",
    "CNNObjective",
    "Search",
    "TensorBoardCallback",
    "default_workers",
    "work",
    "work_together",
]
