"""The fit of a time budget: plan, search, finals, and the models that are shipped."""

from optuna_de.cnn.fitting.finals import FinalSearch
from optuna_de.cnn.fitting.plan import FitPlan, make_plan
from optuna_de.cnn.fitting.shipping import Shipped
from optuna_de.cnn.fitting.time_budget import Fit, Fitted, fit, run_fit

__all__ = ["FinalSearch", "Fit", "FitPlan", "Fitted", "Shipped", "fit", "make_plan", "run_fit"]
