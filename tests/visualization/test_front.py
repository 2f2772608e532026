"""Front over time: its moments, points and steps."""

import pytest

from optuna_de.visualization import front_over_time as _front
from optuna_de.visualization import plot_front_over_time
from tests.visualization import kit


def numbers(info: _front.Info) -> list[tuple[int, list[int]]]:
    return [(f.finished, [p.number for p in f.points]) for f in info.fronts]


def test_fronts_of_a_family() -> None:
    info = _front.info(kit.family(), moments=3)
    assert numbers(info) == [(3, [0]), (5, [0, 4]), (7, [0, 6, 5])]


def test_equal_trials_share_the_front() -> None:
    study = kit.study()
    kit.add(study, 0.5, 1.0)
    kit.add(study, 0.5, 1.0)
    assert numbers(_front.info(study, moments=1)) == [(2, [0, 1])]


def test_a_maximised_objective_is_better_when_larger() -> None:
    study = kit.study(("minimize", "maximize"))
    for values in ((0.5, 10.0), (0.6, 5.0), (0.7, 20.0)):
        kit.add(study, *values)
    info = _front.info(study, moments=1)
    assert numbers(info) == [(3, [0, 2])]
    assert info.plane.step == "vh"
    assert plot_front_over_time(study).data[0].line.shape == "vh"


def test_the_front_is_that_of_all_objectives() -> None:
    study = kit.study(("minimize",) * 3)
    for values in ((1.0, 1.0, 9.0), (2.0, 2.0, 1.0), (3.0, 3.0, 3.0)):
        kit.add(study, *values)
    assert numbers(_front.info(study, moments=1)) == [(3, [0, 1])]


def test_moments_without_a_front_are_left_out() -> None:
    study = kit.study()
    kit.add(study, 0.5, 1.0, constraint=1.0)
    assert _front.info(study).excuse == "No trial of this study is feasible yet."
    kit.add(study, 0.5, 1.0, constraint=0.0)
    assert numbers(_front.info(study, moments=2)) == [(2, [1])]


def test_one_objective_and_no_moment_are_refused() -> None:
    with pytest.raises(ValueError, match="A front needs two objectives"):
        plot_front_over_time(kit.study(("minimize",)))
    with pytest.raises(ValueError, match="moments must be at least 1, but is 0"):
        plot_front_over_time(kit.study(), moments=0)
