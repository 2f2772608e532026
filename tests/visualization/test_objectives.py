"""Three objectives: the front in parallel coordinates, and a plane for each pair."""

import numpy as np
import optuna

from optuna_de.visualization import plot_pairwise_fronts, plot_parallel_objectives
from optuna_de.visualization.objectives import pairwise_fronts, parallel_objectives
from optuna_de.visualization.plots import plots_for
from tests.visualization import kit

NAMES = ["error", "parameters", "latency [ms]"]


def study_of_three() -> optuna.Study:
    study = kit.study(("minimize",) * 3, names=NAMES)
    for values in ((0.5, 1e3, 3.0), (0.4, 1e5, 1.0), (0.6, 2e5, 4.0), (float("inf"), 1.0, 1.0)):
        kit.add(study, *values)
    return study


def test_the_front_is_a_line_each() -> None:
    info = parallel_objectives.info(study_of_three())
    assert [entry.number for entry in info.front] == [0, 1]
    axes = plot_parallel_objectives(study_of_three()).data[0].dimensions
    assert [axis.label for axis in axes] == NAMES
    np.testing.assert_allclose(axes[1]["values"], [3, 5])  # logarithmic
    np.testing.assert_allclose(axes[2]["values"], [3, 1])
    assert axes[1].ticktext[0] == "1,000"


def test_each_pair_has_its_plane_with_the_front_of_all() -> None:
    info = pairwise_fronts.info(study_of_three())
    pairs = [(plane.x_name, plane.y_name) for plane, _ in info.planes]
    assert pairs == [(NAMES[1], NAMES[0]), (NAMES[2], NAMES[0]), (NAMES[2], NAMES[1])]
    fronts = [{p.number for p in points if p.on_front} for _, points in info.planes]
    assert fronts == [{0, 1, 3}] * 3
    figure = plot_pairwise_fronts(study_of_three())
    assert figure.layout.xaxis3.title.text == NAMES[2]
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2


def test_two_objectives_do_without() -> None:
    two = plots_for(kit.study())
    assert "pairwise_fronts" not in two
    assert "parallel_objectives" not in two
    assert {"pairwise_fronts", "parallel_objectives"} <= plots_for(study_of_three()).keys()
