"""The search for networks: the objective, the workers and the whole search."""

from typing import TYPE_CHECKING

from optuna_de._lazy import lazy

if TYPE_CHECKING:
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

__getattr__ = lazy(
    __name__,
    {
        "CNNObjective": "objective",
        "Search": "search",
        "TensorBoardCallback": "tensorboard",
        "default_workers": "worker_pool",
        "work_together": "worker_pool",
        "GAVE_BACK": "worker_process",
        "work": "worker_process",
    },
)
