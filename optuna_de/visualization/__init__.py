"""Plots of a search, each ``plot_x(study, ...)`` in Optuna's conventions, of the extra ``plots``.

A study without anything to plot gives a figure that says so in a sentence. ``PLOTS`` lists the
plots: the report, the upload to optuna-dashboard and the tests take them from there.
"""

try:
    import plotly  # noqa: F401
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        'Plots need plotly; install the package as "optuna-de[plots]".', name=_error.name
    ) from None

from optuna_de.visualization.diversity import plot_diversity
from optuna_de.visualization.front_over_time import plot_front_over_time
from optuna_de.visualization.gene_statistics import plot_gene_statistics
from optuna_de.visualization.generations import plot_generations
from optuna_de.visualization.hypervolume import plot_hypervolume
from optuna_de.visualization.learning_curves import plot_learning_curves
from optuna_de.visualization.lineage import plot_lineage
from optuna_de.visualization.objectives.pairwise_fronts import plot_pairwise_fronts
from optuna_de.visualization.objectives.parallel_objectives import plot_parallel_objectives
from optuna_de.visualization.operators import plot_operators
from optuna_de.visualization.plots import PLOTS, Plot

__all__ = [
    "PLOTS",
    "Plot",
    "plot_diversity",
    "plot_front_over_time",
    "plot_gene_statistics",
    "plot_generations",
    "plot_hypervolume",
    "plot_learning_curves",
    "plot_lineage",
    "plot_operators",
    "plot_pairwise_fronts",
    "plot_parallel_objectives",
]
