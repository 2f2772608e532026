"""Table of plots: the function, the objectives it needs and the title of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import optuna
import plotly.graph_objects as go

from optuna_de.visualization import (
    diversity,
    front_over_time,
    gene_statistics,
    generations,
    hypervolume,
    learning_curves,
    lineage,
    operators,
)
from optuna_de.visualization.objectives import pairwise_fronts, parallel_objectives


@dataclass(frozen=True, slots=True)
class Plot:
    """Row of the table of plots.

    Args:
        function: Draws a study; its other arguments have defaults.
        title: The title of its figures.
        objectives: Objectives that a study needs at least.
        dashboard: Name of the figure in optuna-dashboard. Empty if its size grows with the
            trials, as the dashboard's figures are study attributes.
    """

    function: Callable[..., go.Figure]
    title: str
    objectives: int = 1
    dashboard: str = ""


PLOTS: dict[str, Plot] = {
    "generations": Plot(generations.plot_generations, generations.TITLE),
    "front_over_time": Plot(
        front_over_time.plot_front_over_time, front_over_time.TITLE, 2, "optuna_de.front"
    ),
    "pairwise_fronts": Plot(pairwise_fronts.plot_pairwise_fronts, pairwise_fronts.TITLE, 3),
    "parallel_objectives": Plot(
        parallel_objectives.plot_parallel_objectives, parallel_objectives.TITLE, 3
    ),
    "hypervolume": Plot(
        hypervolume.plot_hypervolume, hypervolume.TITLE, 2, "optuna_de.hypervolume"
    ),
    "learning_curves": Plot(learning_curves.plot_learning_curves, learning_curves.TITLE),
    "lineage": Plot(lineage.plot_lineage, lineage.TITLE),
    "gene_statistics": Plot(
        gene_statistics.plot_gene_statistics, gene_statistics.TITLE, 1, "optuna_de.genes"
    ),
    "diversity": Plot(diversity.plot_diversity, diversity.TITLE, 1, "optuna_de.diversity"),
    "operators": Plot(operators.plot_operators, operators.TITLE, 1, "optuna_de.operators"),
}
"""All plots, in the order of a report."""


def plots_for(study: optuna.Study) -> dict[str, Plot]:
    """Return the plots of the table whose objectives a study has."""
    return {n: plot for n, plot in PLOTS.items() if plot.objectives <= len(study.directions)}
