"""Generations: the points, the axes, what marks them."""

import pytest

from optuna_de.visualization import generations as _generations
from optuna_de.visualization import plot_generations
from optuna_de.visualization.generations import Info
from optuna_de.visualization.trials.objective_plane import Plane, Point
from tests.visualization import kit


def test_info_of_a_family() -> None:
    assert _generations.info(kit.family()) == Info(
        Plane("parameters", "error", x_log=True),
        (
            Point(0, 100.0, 0.5, 0, on_front=True, label="C7k3"),
            Point(1, 5000.0, 0.6, 0),
            Point(2, 3000.0, 0.4, 0, feasible=False),
            Point(4, 2000.0, 0.3, 1),
            Point(5, 4000.0, 0.2, None, on_front=True),
            Point(6, 1000.0, 0.25, 2, on_front=True),
        ),
    )


def test_axes_choose_the_objectives() -> None:
    info = _generations.info(kit.family(), axes=(0, 1))
    assert info.plane == Plane("error", "parameters", x_log=False)
    assert (info.points[0].x, info.points[0].y) == (0.5, 100.0)


def test_one_objective_is_plotted_against_the_trial() -> None:
    study = kit.study(("maximize",))
    kit.add(study, 3.0)
    kit.add(study, 5.0, plan=(1, "difference", ()))
    info = _generations.info(study)
    assert info.plane == Plane("Trial", "Objective 0", x_log=False)
    assert info.points == (Point(0, 0.0, 3.0), Point(1, 1.0, 5.0, 1, on_front=True))
    assert {trace.name for trace in plot_generations(study).data} == {"planned", "added"}


def test_points_come_in_the_order_of_completion() -> None:
    study = kit.study()
    kit.add(study, 0.5, 1.0, late=300)
    kit.add(study, 0.6, 2.0)
    assert [p.number for p in _generations.info(study).points] == [1, 0]


def test_the_figure_tells_planned_added_and_infeasible_apart() -> None:
    figure = plot_generations(kit.family())
    front, planned, added, broken = figure.data
    assert tuple(front.x) == (100.0, 1000.0, 4000.0)
    assert tuple(planned.marker.color) == (0, 0, 1, 2)
    assert tuple(planned.customdata) == (0, 1, 4, 6)
    assert tuple(added.customdata) == (5,)
    assert tuple(broken.customdata) == (2,)
    assert figure.layout.xaxis.type == "log"


@pytest.mark.parametrize("axes", [(0, 2), (0,), (-1, 0)])
def test_impossible_axes_are_refused(axes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="axes must be two objectives of 0 to 1"):
        plot_generations(kit.family(), axes=axes)


def test_wrong_target_names_are_refused() -> None:
    with pytest.raises(ValueError, match="target_names has 1 names, but the study has 2"):
        plot_generations(kit.family(), target_names=["error"])
