"""Learning curves: which are named, and rows with gaps."""

import math

import pytest

from optuna_de.visualization import learning_curves as _learning_curves
from optuna_de.visualization import plot_learning_curves
from optuna_de.visualization.learning_curves import Curve
from tests.visualization import kit


def test_curves_of_the_front_are_chosen() -> None:
    study = kit.study()
    kit.add(study, 0.5, 10.0, attrs={"curve": [[1, 2.0, 0.6], [2, 1.5, 0.5]], "architecture": "A"})
    kit.add(study, 0.6, 20.0, attrs={"curve": [[1, 2.2, 0.6]]})
    kit.add(study, 0.4, 30.0)
    info = _learning_curves.info(study)
    assert info.curves == (
        Curve(0, ((1.0, 2.0, 0.6), (2.0, 1.5, 0.5)), chosen=True, label="A"),
        Curve(1, ((1.0, 2.2, 0.6),)),
    )
    assert [c.number for c in _learning_curves.info(study, [1], others=False).curves] == [1]


def test_at_most_eight_of_the_front_are_chosen_with_both_ends() -> None:
    study = kit.study()
    for i in range(20):
        kit.add(study, i / 20, 20.0 - i, attrs={"curve": [[1, 1.0, 0.5]]})
    chosen = [c.number for c in _learning_curves.info(study).curves if c.chosen]
    assert len(chosen) == 8
    assert {0, 19} <= set(chosen)


def test_gaps_and_foreign_rows_are_no_crash() -> None:
    study = kit.study()
    rows = [[1, None, 0.9], [2, 1.0, None], [3], "text", [4, "<b>", 0.5]]
    kit.add(study, 0.5, 1.0, attrs={"curve": rows})
    kit.add(study, 0.6, 0.5, attrs={"curve": "text"})
    (curve,) = _learning_curves.info(study).curves
    assert [row[0] for row in curve.rows] == [1.0, 2.0, 4.0]
    assert math.isnan(curve.rows[0][1])
    assert math.isnan(curve.rows[1][2])
    assert math.isnan(curve.rows[2][1])


def test_other_curves_are_one_trace_with_gaps() -> None:
    study = kit.study()
    for i in range(5):
        kit.add(study, 0.5 + i, 1.0 + i, attrs={"curve": [[1, 1.0, 0.5], [2, 0.5, 0.4]]})
    others = plot_learning_curves(study).data[0]
    assert others.name == "4 others"
    assert tuple(others.x) == (1.0, 2.0, None) * 4


def test_a_study_without_curves_says_so() -> None:
    assert "has a learning curve" in _learning_curves.info(kit.family()).excuse


def test_an_unknown_trial_is_refused() -> None:
    with pytest.raises(ValueError, match="Trial 77 is no finished trial"):
        plot_learning_curves(kit.family(), trials=[0, 77])
