"""Figures of a study for optuna-dashboard, which must be installed.

The dashboard reads them from the study's attributes. Study attributes have no owner, so only one
process of a search should write them, e.g. the one that renders the report.
"""

from __future__ import annotations

import optuna
from optuna_dashboard import save_plotly_graph_object

from optuna_de.visualization.plots import plots_for

__all__ = ["save_figures"]


def save_figures(study: optuna.Study) -> tuple[str, ...]:
    """Write the figures that the dashboard does not have itself, over those written before.

    They are small whatever the number of trials: those with a mark per trial are left out.

    Returns:
        The figures' ids: genes and diversity; also front and hypervolume for a study of several
        objectives.
    """
    return tuple(
        save_plotly_graph_object(study, plot.function(study), graph_object_id=plot.dashboard)
        for plot in plots_for(study).values()
        if plot.dashboard
    )
