"""A few figures of a study for optuna-dashboard, which must be installed.

The dashboard reads them from the study's attributes. Those have no owner, so that one process of
a search should write them, such as the one that renders the report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
from optuna_dashboard import save_plotly_graph_object

from optuna_de.visualization.diversity import plot_diversity
from optuna_de.visualization.front_over_time import plot_front_over_time
from optuna_de.visualization.gene_statistics import plot_gene_statistics
from optuna_de.visualization.hypervolume import plot_hypervolume

__all__ = ["save_figures"]
_ANY: dict[str, Callable[..., Any]] = {
    "optuna_de.diversity": plot_diversity,
    "optuna_de.genes": plot_gene_statistics,
}
_SEVERAL: dict[str, Callable[..., Any]] = {
    "optuna_de.front": plot_front_over_time,
    "optuna_de.hypervolume": plot_hypervolume,
}


def save_figures(study: optuna.Study) -> tuple[str, ...]:
    """Write the figures that the dashboard does not have itself, over those written before.

    They are small whatever the number of trials: those with a mark per trial are left out.

    Returns:
        The figures' ids: diversity and genes; also front and hypervolume for a study of several
        objectives.
    """
    plots = _ANY if len(study.directions) < 2 else _SEVERAL | _ANY
    return tuple(
        save_plotly_graph_object(study, plot(study), graph_object_id=name)
        for name, plot in plots.items()
    )
