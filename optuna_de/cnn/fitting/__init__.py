"""The fit of a time budget: plan, search, finals, and the models that are shipped."""

from typing import TYPE_CHECKING

from optuna_de._lazy import lazy
from optuna_de.cnn.fitting.options import Fit

if TYPE_CHECKING:
    from optuna_de.cnn.fitting.finals import FinalSearch
    from optuna_de.cnn.fitting.plan import FitPlan, make_plan
    from optuna_de.cnn.fitting.shipping import Shipped
    from optuna_de.cnn.fitting.time_budget import Fitted, fit, run_fit

__all__ = ["FinalSearch", "Fit", "FitPlan", "Fitted", "Shipped", "fit", "make_plan", "run_fit"]

__getattr__ = lazy(
    __name__,
    {
        "FinalSearch": "finals",
        "FitPlan": "plan",
        "make_plan": "plan",
        "Shipped": "shipping",
        "Fitted": "time_budget",
        "fit": "time_budget",
        "run_fit": "time_budget",
    },
)
